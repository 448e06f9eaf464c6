import fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { lockTimeoutOf, type MigrationEvent } from '../../../src/database/migrations/attempt.js';
import { migrate } from '../../../src/database/migrations/migrate.js';
import { rollback } from '../../../src/database/migrations/rollback.js';
import { migrationStatus } from '../../../src/database/migrations/status.js';
import { testDatabase } from '../../support/database.js';
import { makeHost } from '../../support/hosts.js';
import { migrationOf } from '../../support/migrations.js';

const open: Database[] = [];
const clients: postgres.Sql[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end({ timeout: 1 })));
  await Promise.all(open.map((database) => database.close()));
});

async function host() {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  const database = openServer(url);
  open.push(database);
  return { url, sql, database };
}

/** A transaction of the application that stays open until `release` is called. */
async function hold(url: string, statement: string, application = 'the-app') {
  const client = postgres(url, { max: 1, connection: { application_name: application }, onnotice: () => {} });
  clients.push(client);
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let pid = 0;
  const held = await new Promise<{ ended: Promise<unknown> }>((resolve, reject) => {
    const ended = client.begin(async (sql) => {
      const [row] = await sql`select pg_backend_pid() as pid`;
      pid = row?.pid;
      await sql.unsafe(statement);
      resolve({ ended });
      await released;
    });
    ended.catch(reject);
  });
  return {
    pid,
    async release() {
      release();
      await held.ended;
    },
  };
}

describe('a reader that holds users', () => {
  test('makes migrate wait its turns and say for whom, while other readers are served', async () => {
    const { url, sql, database } = await host();
    await migrate(database, { to: '7' });
    const reader = await hold(url, 'select id,\n  email from users -- a long report');
    const blocked: (MigrationEvent & { kind: 'blocked' })[] = [];
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
    expect(blocked[0]).toMatchObject({
      file: '022_calendly_sync_optimization.up.sql',
      holders: [
        {
          pid: reader.pid,
          application: 'the-app',
          state: 'idle in transaction',
          query: 'select id, email from users -- a long report',
          table: 'users',
        },
      ],
    });
    // Between one try and the next, the others have read.
    for (let index = 1; index < readsAtEvent.length; index++) {
      expect(readsAtEvent[index]).toBeGreaterThan(readsAtEvent[index - 1] ?? 0);
    }
  });

  test('for longer than --max-wait ends it with nothing changed, and names the query', async () => {
    const { url, database } = await host();
    await migrate(database, { to: '7' });
    const reader = await hold(url, `select '${'x'.repeat(100)}' from users`);
    const error = await migrate(database, { lockTimeoutMs: 20, maxWaitMs: 300 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'locked', exitCode: 75 });
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

  test('makes a rollback wait in the same way, and none of the backups of its tries is left', async () => {
    const { url, database, sql } = await host();
    await migrate(database);
    await sql`update users set last_calendly_sync = now()`;
    const reader = await hold(url, 'select * from users');
    const { temporaryFolder } = await import('../../support/program.js');
    const backupFile = `${temporaryFolder()}/backup.jsonl.gz`;
    const events: string[] = [];
    let released: Promise<void> | null = null;
    const rolledBack = rollback(database, {
      backupFile,
      lockTimeoutMs: 40,
      onEvent(event) {
        events.push(event.kind);
        if (events.length === 3) released = reader.release();
      },
    });
    expect(await rolledBack).toEqual({
      rolled_back: [{ version: '022', name: 'calendly_sync_optimization' }],
      backup: backupFile,
    });
    await released;
    expect(events.length).toBeGreaterThanOrEqual(3);
    const { readBackup } = await import('../../../src/database/migrations/backup-file.js');
    expect(await readBackup(backupFile)).toHaveLength(1);
  });
});

describe('an application that takes users first and meetings then, as 022 does not', () => {
  test.each(['migrate', 'rollback'] as const)(
    'is never the victim of a deadlock: %s gives way',
    async (direction) => {
      const { url, database } = await host();
      await migrate(database, direction === 'migrate' ? { to: '7' } : {});
      const app = postgres(url, { max: 1, onnotice: () => {} });
      clients.push(app);
      await app.unsafe('begin; select * from users');
      const blocked: string[] = [];
      let asked: Promise<unknown> | null = null;
      const work = (options: { onEvent(event: MigrationEvent): void }) =>
        direction === 'migrate'
          ? migrate(database, options)
          : rollback(database, { ...options, backupFile: null });
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
  const file = migrationOf('030', '-- slow\ncreate table half (id integer);\nselect pg_sleep(60);');
  const migrated = migrate(database, {
    migrations: [file],
    signal: stop.signal,
    onEvent: (event) => {
      if (event.kind === 'progress' && event.text.startsWith('reading many rows, for')) stop.abort();
    },
  });
  await expect(migrated).rejects.toMatchObject({ code: 'stopped' });
  expect(await sql`select to_regclass('half') as half`).toEqual([{ half: null }]);
  expect(
    await sql`select from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()`,
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

describe('indexes on tables that are in use', () => {
  test('are built while a writer is at work, and say whom they wait for', async () => {
    const { url, sql, database } = await host();
    await migrate(database, { to: '4' });
    const writer = await hold(url, `update meetings set notes = 'changed' where id = 1`);
    let waiting = '';
    let released: Promise<void> | null = null;
    const { applied } = await migrate(database, {
      to: '6',
      onEvent(event) {
        if (event.kind !== 'progress' || !event.text.includes('waits for process')) return;
        waiting = event.text;
        // Other writers are not held up by the build.
        released ??= sql`update meetings set notes = 'meanwhile' where id = 2`.then(() => writer.release());
      },
    });
    await released;
    expect(applied.map(({ version }) => version)).toEqual(['005', '006']);
    expect(waiting).toContain(`waits for process ${writer.pid} (the-app, idle in transaction`);
    expect(await sql`select notes from meetings where id = 2`).toEqual([{ notes: 'meanwhile' }]);
    expect((await migrationStatus(database)).drift).toEqual([]);
  });

  test('outlast the timeouts that the database has for statements and idle transactions', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    await sql.unsafe(`do $$ begin
      execute format('alter database %I set statement_timeout = %L', current_database(), '500ms');
      execute format('alter database %I set idle_in_transaction_session_timeout = %L', current_database(), '500ms');
    end $$`);
    const database = openServer(url);
    open.push(database);
    await migrate(database, { to: '4' });
    const holder = postgres(url, {
      max: 1,
      onnotice: () => {},
      connection: { idle_in_transaction_session_timeout: 60_000 },
    });
    clients.push(holder);
    await holder.unsafe(`begin; update meetings set notes = 'changed' where id = 1`);
    let seen = 0;
    let released: Promise<unknown> | null = null;
    const { applied } = await migrate(database, {
      to: '6',
      onEvent({ kind }) {
        if (kind === 'progress') seen++;
        if (seen === 3) released ??= holder.unsafe('commit').execute();
      },
    });
    await released;
    expect(applied.map(({ version }) => version)).toEqual(['005', '006']);
    expect(seen).toBeGreaterThanOrEqual(3);
  });

  test('that wait in vain are given up without a trace, and made at the next time', async () => {
    const { url, sql, database } = await host();
    await migrate(database, { to: '4' });
    const writer = await hold(url, `update meetings set notes = 'changed' where id = 1`);
    const error = await migrate(database, { to: '5', maxWaitMs: 500 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`waits for process ${writer.pid} (the-app`),
    });
    await writer.release();
    expect((await migrate(database, { to: '5' })).applied).toHaveLength(1);
    expect(
      await sql`select indisvalid from pg_index where indexrelid = 'calendly_meetings_key'::regclass`,
    ).toEqual([{ indisvalid: true }]);
  });

  test('that a failure left invalid are found and made again', async () => {
    const { sql, database } = await host();
    await migrate(database, { to: '4' });
    await sql`insert into meetings (user_id, meeting_source, external_id) values (1, 'calendly', 'x'), (1, 'calendly', 'x')`;
    await expect(
      sql`create unique index concurrently calendly_meetings_key on meetings (user_id, meeting_source, external_id)`,
    ).rejects.toMatchObject({ code: '23505' });
    await sql`delete from meetings where external_id = 'x'`;
    expect((await migrate(database)).pending).toEqual([]);
    expect(
      await sql`select indisvalid from pg_index where indexrelid = 'calendly_meetings_key'::regclass`,
    ).toEqual([{ indisvalid: true }]);
    await sql`update pg_index set indisvalid = false where indexrelid = 'calendly_meetings_key'::regclass`;
    expect((await migrationStatus(database)).drift).toEqual([
      { version: '005', object: 'index calendly_meetings_key', problem: 'is invalid: its build failed' },
    ]);
  });

  test('that cannot be unique fail with their place, and leave no invalid index behind', async () => {
    const { sql, database } = await host();
    await migrate(database, { to: '4' });
    await sql`insert into meetings (user_id, meeting_source, external_id) values (1, 'calendly', 'x'), (1, 'calendly', 'x')`;
    const file = migrationOf(
      '030',
      '-- no-transaction\n-- one of each\ncreate unique index concurrently if not exists one_of_each on meetings (external_id);\n',
    );
    const { readMigrations } = await import('../../../src/database/migrations/files.js');
    const migrations = [...readMigrations().slice(0, 4), file];
    await expect(migrate(database, { migrations })).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining(
        '030_made_up.up.sql:3:1: could not create unique index "one_of_each" (SQLSTATE 23505)',
      ),
    });
    expect(await sql`select to_regclass('one_of_each') as left`).toEqual([{ left: null }]);
  });

  test('in a file of two statements are refused', async () => {
    const { database } = await host();
    const file = migrationOf('030', '-- no-transaction\nselect 1;\nselect 2;');
    await expect(migrate(database, { migrations: [file] })).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('holds one statement'),
    });
  });
});
