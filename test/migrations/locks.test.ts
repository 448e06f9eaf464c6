import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { backupName, listBackups } from '../../src/migrations/backup/backup.js';
import { lockTimeoutOf, type MigrationEvent } from '../../src/migrations/lock.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { ownIdentity } from '../../src/process-identity.js';
import { VERSIONS } from '../sql/files.js';
import { clients, hold, host, open } from '../support/holding.js';
import { migrationOf } from '../support/migrations.js';

describe('a reader that holds users', () => {
  test('a reader that holds users makes migrate wait its turns and say for whom, while other readers are served', async () => {
    const { url, sql, database } = await host();
    await migrate(database, { to: '4' });
    const reader = await hold(url, 'select id,\n  email from users -- a long report');
    const blocked: MigrationEvent[] = [];
    let reads = 0;
    const readsAtEvent: number[] = [];
    let reading = true;
    const others = (async () => {
      while (reading) {
        await sql`select count(*) from users`;
        reads++;
      }
    })();
    let released: Promise<void> | null = null;
    const { pending } = await migrate(database, {
      lockTimeoutMs: 200,
      onEvent(event) {
        if (event.kind !== 'blocked') return;
        blocked.push(event);
        readsAtEvent.push(reads);
        if (blocked.length === 4) released = reader.release();
      },
    });
    await released;
    reading = false;
    await others;

    expect(pending).toEqual([]);
    expect(blocked.length).toBeGreaterThanOrEqual(4);
    expect(blocked[0]?.message).toMatch(
      new RegExp(
        `^022_calendly_sync_optimization.up.sql: a table is in use; trying again in .*\n` +
          `  process ${reader.pid} \\(the-app, idle in transaction, .* s\\) holds users: select id, email from users -- a long report$`,
      ),
    );
    // Between one try and the next, the others have read.
    for (let index = 1; index < readsAtEvent.length; index++) {
      expect(readsAtEvent[index]).toBeGreaterThan(readsAtEvent[index - 1] ?? 0);
    }
  });

  test('a reader that holds users for longer than --max-wait ends migrate with nothing changed, and is named with its query', async () => {
    const { url, database } = await host();
    await migrate(database, { to: '4' });
    const reader = await hold(url, `select '${'x'.repeat(100)}' from users`);
    const error = await migrate(database, { lockTimeoutMs: 20, maxWaitMs: 300 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'locked' });
    const { message } = error as Error;
    expect(message).toContain('nothing of this file was changed');
    expect(message).toMatch(
      new RegExp(
        `process ${reader.pid} \\(the-app, idle in transaction, [0-9.]+ s\\) holds users: select 'x{72}$`,
        'm',
      ),
    );
    expect((await migrationStatus(database)).pending).toHaveLength(1);
    await reader.release();
    expect((await migrate(database)).pending).toEqual([]);
  });

  test('a reader that holds users makes a rollback wait in the same way; of its tries one backup is left', async () => {
    const { url, database, sql } = await host();
    await migrate(database);
    await sql`update users set last_calendly_sync = now()`;
    const reader = await hold(url, 'select * from users');
    const backup = backupName(new Date());
    const events: string[] = [];
    let released: Promise<void> | null = null;
    const rolledBack = rollback(database, {
      backup,
      lockTimeoutMs: 40,
      onEvent(event) {
        events.push(event.kind);
        if (events.length === 3) released = reader.release();
      },
    });
    expect(await rolledBack).toEqual({
      rolled_back: [{ version: '022', name: 'calendly_sync_optimization' }],
      backup,
    });
    await released;
    expect(events.length).toBeGreaterThanOrEqual(3);
    expect(await listBackups(database)).toEqual([{ name: backup, versions: ['022'], rows: 2 }]);
  });
});

describe('an application that takes users first and meetings then, as 022 does not', () => {
  test.each(['migrate', 'rollback'] as const)(
    'an application that takes users first and meetings then is never the victim of a deadlock: %s gives way',
    async (direction) => {
      const { url, database } = await host();
      await migrate(database, direction === 'migrate' ? { to: '4' } : {});
      const app = postgres(url, { max: 1, onnotice: () => {} });
      clients.push(app);
      await app.unsafe('begin; select * from users');
      const blocked: string[] = [];
      let asked: Promise<unknown> | null = null;
      const work = (options: { onEvent(event: MigrationEvent): void }) =>
        direction === 'migrate'
          ? migrate(database, options)
          : rollback(database, { ...options, backup: null });
      await work({
        onEvent({ kind }) {
          blocked.push(kind);
          // From here on each holds what the other wants, as often as the migration tries.
          asked ??= app
            .unsafe(
              'select count(*) from meetings; select pg_sleep(1); select count(*) from meetings; commit',
            )
            .execute();
        },
      });
      await expect(asked).resolves.toBeTruthy();
      expect(blocked.length).toBeGreaterThan(0);
    },
  );
});

test('a signal ends a long statement on the server too', async () => {
  const { sql, database } = await host();
  const stop = new AbortController();
  const file = migrationOf('030', 'create table half (id integer);\nselect pg_sleep(50);');
  const migrated = migrate(database, { migrations: [file], signal: stop.signal });
  const sleeping = () =>
    sql`select from pg_stat_activity where query like '%pg_sleep(50)%' and state = 'active' and pid <> pg_backend_pid() and datname = current_database()`;
  while ((await sleeping()).length === 0) await pause(20);
  stop.abort();
  await expect(migrated).rejects.toMatchObject({ code: 'stopped' });
  expect(await sql`select to_regclass('half') as half`).toEqual([{ half: null }]);
  expect(await sleeping()).toHaveLength(0);
});

test('the tables are not pulled away from a running sync: an error names its process, or --wait waits for it', async () => {
  const { sql, database } = await host();
  await migrate(database);
  const owner = JSON.stringify({ run: 'r', ...ownIdentity() });
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (1, 'https://api.calendly.com/users/A')`;
  await sql`
    insert into calendly_leases (account_id, lease_owner, lease_until)
    select id, ${owner}, now() + interval '1 minute' from calendly_accounts`;
  await expect(rollback(database, { backup: null })).rejects.toMatchObject({
    code: 'locked',
    message: `A sync is running (process ${process.pid} on ${ownIdentity().host}); nothing was changed.`,
    hint: expect.stringContaining('--wait'),
  });
  expect((await migrationStatus(database)).applied).toHaveLength(VERSIONS.length);
  const events: string[] = [];
  const waiting = rollback(database, {
    backup: null,
    waitForSync: true,
    onEvent: async ({ kind }) => {
      events.push(kind);
      await sql`update calendly_leases set lease_owner = null, lease_until = null`;
    },
  });
  expect((await waiting).rolled_back).toHaveLength(1);
  expect(events).toEqual(['syncing']);
});

test('a sync that was killed on this machine stops nobody', async () => {
  const { sql, database } = await host();
  await migrate(database);
  const gone = JSON.stringify({ ...ownIdentity(), pid: 2 ** 22 + 7, started: '1' });
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (1, 'https://api.calendly.com/users/A')`;
  await sql`
    insert into calendly_leases (account_id, lease_owner, lease_until)
    select id, ${gone}, now() + interval '1 minute' from calendly_accounts`;
  expect((await rollback(database, { backup: null })).rolled_back).toHaveLength(1);
});

test('a prepared transaction that holds a table is named', async () => {
  const { sql, url, database } = await host();
  const [setting] = await sql`select current_setting('max_prepared_transactions')::integer as n`;
  // Most servers have none, and then nothing can be held.
  if (setting?.n === 0) return;
  const client = postgres(url, { max: 1, onnotice: () => {} });
  clients.push(client);
  await client.unsafe(
    `begin; select * from users; lock table users in share mode; prepare transaction 'forgotten'`,
  );
  await expect(migrate(database, { lockTimeoutMs: 20, maxWaitMs: 300 })).rejects.toMatchObject({
    message: expect.stringContaining("prepared transaction 'forgotten'"),
  });
  await client.unsafe(`rollback prepared 'forgotten'`);
});

test('with one connection in the pool, and while another client has it, the wait ends with a reason', async () => {
  const { url } = await host();
  const single = openServer(url, { max: 1 });
  open.push(single);
  let free = () => {};
  const taken = single.transaction(
    () =>
      new Promise<void>((resolve) => {
        free = resolve;
      }),
  );
  await expect(migrate(single, { maxWaitMs: 1_000 })).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringContaining('waited too long for a connection to the database'),
  });
  free();
  await taken;
  expect((await migrate(single)).pending).toEqual([]);
});

test('a build connection that dies ends the migration with an error, and releases its lock', async () => {
  const { sql, database } = await host();
  const file = migrationOf('030', 'create table half (id integer);\nselect pg_sleep(50);');
  const migrated = migrate(database, { migrations: [file] });
  const kill = () =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(50)%' and state = 'active' and pid <> pg_backend_pid() and datname = current_database()`;
  const killed = (async () => {
    while ((await kill()).length === 0) await pause(20);
  })();
  await expect(migrated).rejects.toMatchObject({ code: 'database_unreachable' });
  await killed;
  expect(
    await sql`select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
  ).toHaveLength(0);
});

test.each(['55P03', '40P01', '40001'])('a file that ends with %s is tried again as a whole', async (code) => {
  const { sql, database } = await host();
  await sql`create sequence tries`;
  const file = migrationOf(
    '030',
    `create table made (id integer);
     do $$ begin if nextval('tries') < 4 then raise exception 'not now' using errcode = '${code}'; end if; end $$;`,
  );
  const events: string[] = [];
  const { applied } = await migrate(database, {
    migrations: [file],
    onEvent: ({ kind }) => events.push(kind),
  });
  expect(applied).toHaveLength(1);
  expect(events).toEqual(['blocked', 'blocked', 'blocked']);
  expect(await sql`select to_regclass('made')::text as made`).toEqual([{ made: 'made' }]);
});

test('readers queue behind a waiting statement for a part of the lock timeout first, and never for more than it', () => {
  fc.assert(
    fc.property(fc.nat({ max: 100 }), fc.integer({ min: 1, max: 60_000 }), (tries, longest) => {
      const timeout = lockTimeoutOf(tries, longest);
      expect(timeout).toBeGreaterThanOrEqual(1);
      expect(timeout).toBeLessThanOrEqual(longest);
      expect(lockTimeoutOf(tries + 1, longest)).toBeGreaterThanOrEqual(timeout);
    }),
  );
  expect([0, 1, 2, 3, 4].map((tries) => lockTimeoutOf(tries, 1_000))).toEqual([125, 250, 500, 1_000, 1_000]);
});
