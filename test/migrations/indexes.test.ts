import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { testDatabase } from '../support/database.js';
import { clients, hold, host, open } from '../support/holding.js';
import { makeHost } from '../support/hosts.js';
import { migrationOf } from '../support/migrations.js';

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
    const { readMigrations } = await import('../../src/migrations/files.js');
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
