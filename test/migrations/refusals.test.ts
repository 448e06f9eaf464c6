/** What a server or a person prevents halfway: refused in plain words, with nothing changed. */
import { describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { backupName } from '../../src/migrations/backup/backup.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { runFile } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { host, open } from '../support/holding.js';
import { createOrigin } from '../support/hosts.js';
import { migrationOf } from '../support/migrations.js';
import { calendlySync } from '../support/program.js';
import { makeRole } from '../support/roles.js';
import { schemaOf } from '../support/schema.js';

function connect(url: string) {
  const database = openServer(url);
  open.push(database);
  return database;
}

test('a rollback whose backup cannot be written changes nothing, and says who lacks which right', async () => {
  const { url, sql, name } = await testDatabase('empty');
  const role = await makeRole(url, 'plain');
  await sql.unsafe(
    `revoke create on database ${name} from "${role.name}"; grant usage, create on schema public to "${role.name}"`,
  );
  const database = connect(role.url);
  await migrate(database);
  await sql`insert into calendly_webhook_events (event_id, event_type, payload) values ('e', 't', '{}')`;
  const before = await schemaOf(sql);
  await expect(rollback(database, { backup: backupName(new Date()) })).rejects.toMatchObject({
    message: expect.stringContaining(`permission denied for database ${name} (42501)`),
    hint: expect.stringContaining(`You are ${role.name}`),
  });
  expect(await schemaOf(sql)).toEqual(before);
  expect(await sql`select event_id from calendly_webhook_events`).toHaveLength(1);
  expect((await rollback(database, { backup: null })).rolled_back).toHaveLength(1);
});

test.each(['paste', 'psql'] as const)(
  'migrate completes a 022 of which somebody ran only a part by %s',
  async (way) => {
    const { url, sql } = await testDatabase('empty');
    await createOrigin(sql, { strict: true });
    const before = await schemaOf(sql);
    if (way === 'paste') await runFile(sql, '022', 'up');
    // The half that is there is ours by its comments; what came later in the file is not.
    await sql.unsafe(
      way === 'paste'
        ? 'drop view calendly_sync_health; drop function clean_old_webhook_events()'
        : `alter table users add column last_calendly_sync timestamptz;
           comment on column users.last_calendly_sync is 'calendly-sync 022'`,
    );
    const database = connect(url);
    const { pending, drift } = await migrate(database);
    expect({ pending, drift }).toEqual({ pending: [], drift: [] });
    expect(await sql`select from calendly_sync_health where calendly_webhook_enabled`).toEqual([]);
    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(before);
  },
);

test('a restore of a name that does not exist ends before the first change, with exit code 2', async () => {
  const { url, sql } = await host();
  const before = await schemaOf(sql);
  const { code, stderr } = await calendlySync(
    ['migrate', '--restore', 'calendly_backup_20200101_000000_000'],
    { DATABASE_URL: url },
  );
  expect(code).toBe(2);
  expect(stderr).toContain('There is no backup calendly_backup_20200101_000000_000');
  expect(stderr).toContain('This database has no backups.');
  expect(await schemaOf(sql)).toEqual(before);
});

describe('a server that does not write', () => {
  test('migrate and rollback on a read-only server change nothing, and name the primary', async () => {
    const { url, sql } = await host();
    await migrate(connect(url));
    const name = new URL(url).pathname.slice(1);
    await sql.unsafe(`alter database ${name} set default_transaction_read_only = on`);
    for (const args of [
      ['rollback', '--yes'],
      ['migrate', '--restore', 'calendly_backup_1'],
    ]) {
      const { code, stderr } = await calendlySync(args, { DATABASE_URL: url });
      expect(code).not.toBe(0);
      expect(stderr).not.toContain('    at ');
    }
    const { code, stderr } = await calendlySync(['rollback', '--yes', '--no-backup'], { DATABASE_URL: url });
    expect(code).toBe(1);
    expect(stderr).toContain('read-only');
    expect(stderr).toContain('primary');
    const status = await calendlySync(['migrate', '--status'], { DATABASE_URL: url });
    expect(status.code).toBe(0);
  });

  // The server's own error, raised by a file: a disk that is really full would fail the tests beside this one.
  test('a full disk rolls the file back and is named', async () => {
    const { sql, database } = await host();
    const file = migrationOf(
      '030',
      `create table half (id integer);
       do $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;`,
    );
    await expect(migrate(database, { migrations: [file] })).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('could not extend file: No space left on device (SQLSTATE 53100)'),
      hint: 'The disk of the server is full. The file was rolled back.',
    });
    expect(
      await sql`select to_regclass('half') as half, to_regclass('calendly_migrations') as history`,
    ).toEqual([{ half: null, history: null }]);
  });
});
