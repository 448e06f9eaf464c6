import fc from 'fast-check';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { lockTimeoutOf, type MigrationEvent } from '../../src/migrations/lock.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { clients, hold, host } from '../support/holding.js';
import { migrationOf } from '../support/migrations.js';

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

  test('makes a rollback wait in the same way, and none of the backups of its tries is left', async () => {
    const { url, database, sql } = await host();
    await migrate(database);
    await sql`update users set last_calendly_sync = now()`;
    const reader = await hold(url, 'select * from users');
    const { temporaryFolder } = await import('../support/program.js');
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
    const { readBackup } = await import('../../src/migrations/backup/file.js');
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
