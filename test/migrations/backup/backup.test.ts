import { describe, expect, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { dropBackup, listBackups } from '../../../src/migrations/backup/backup.js';
import { restore } from '../../../src/migrations/backup/restore.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { rollback } from '../../../src/migrations/rollback.js';
import { VERSIONS } from '../../sql/files.js';
import { everything, fill, migrated, open } from '../../support/backup-data.js';
import { makeRole } from '../../support/roles.js';
import { schemaOf } from '../../support/schema.js';

describe.each([null, 'integer', 'bigint', 'uuid', 'text'] as const)(
  'with host keys %s, rollback and restore',
  (idType) => {
    test(`rollback and restore of 022 bring every value back, and again change nothing (${idType})`, async () => {
      const { sql, database, backup } = await migrated(idType);
      await fill(database, idType === null);
      const before = await everything(sql);
      expect(await rollback(database, { backup })).toMatchObject({ backup });
      expect(await everything(sql)).not.toEqual(before);
      await migrate(database);
      const restored = await restore(database, backup);
      expect(await everything(sql)).toEqual(before);
      expect(restored.find(({ table }) => table === 'calendly_webhook_events')).toEqual({
        version: '022',
        table: 'calendly_webhook_events',
        rows: 1500,
        restored: 1500,
        equal: 1500,
        changed: 0,
        orphaned: 0,
      });
      for (const table of await restore(database, backup)) {
        expect(table).toMatchObject({ restored: 0, equal: table.rows, changed: 0, orphaned: 0 });
      }
      expect(await everything(sql)).toEqual(before);
    });

    test(`rollback and restore of everything bring every value back, and new rows get new ids (${idType})`, async () => {
      const { sql, database, backup } = await migrated(idType);
      await fill(database, idType === null);
      const before = await everything(sql);
      expect((await rollback(database, { to: '0', backup })).rolled_back).toHaveLength(VERSIONS.length);
      expect(await sql`select to_regclass('calendly_migrations') as left`).toEqual([{ left: null }]);
      await migrate(database, { adopt: false });
      await restore(database, backup);
      expect(await everything(sql)).toEqual(before);
      await restore(database, backup);
      expect(await everything(sql)).toEqual(before);
      if (idType === null) {
        await sql`insert into users (email) values ('new@example.com')`;
        await sql`insert into calendly_sync_runs (account_id, user_id, mode) select id, user_id, 'full' from calendly_accounts`;
      }
    });
  },
);

test('a schema of our own is backed up and restored like any other', async () => {
  const { sql, database, backup } = await migrated('uuid', 'Our "own"');
  await fill(database, false);
  const before = await everything(sql);
  await rollback(database, { to: '0', backup });
  await migrate(database, { adopt: false });
  await restore(database, backup);
  expect(await everything(sql)).toEqual(before);
});

test('what was written after the rollback stays, and rows whose user is gone are left out', async () => {
  const { sql, database, backup } = await migrated('integer');
  await fill(database, false);
  await rollback(database, { backup });
  await migrate(database);
  await sql`update users set last_calendly_sync = '2027-01-01' where email = 'ada@example.com'`;
  await sql`insert into calendly_webhook_events (id, event_id, event_type, payload) values (gen_random_uuid(), 'e7', 'other', '{}')`;
  await sql`delete from meetings where user_id = (select id from users where email = 'bob@example.com')`;
  await sql`delete from users where email = 'bob@example.com'`;
  const restored = await restore(database, backup);
  expect(restored.find(({ table }) => table === 'users')).toMatchObject({
    rows: 2,
    restored: 0,
    equal: 0,
    changed: 1,
    orphaned: 1,
  });
  expect(restored.find(({ table }) => table === 'calendly_webhook_events')).toMatchObject({
    restored: 1499,
    changed: 1,
  });
  expect(await sql`select event_type from calendly_webhook_events where event_id = 'e7'`).toEqual([
    { event_type: 'other' },
  ]);
});

test('a webhook event whose user is gone keeps its row', async () => {
  const { sql, database, backup } = await migrated('integer');
  await fill(database, false);
  await rollback(database, { backup });
  await migrate(database);
  await sql`delete from meetings`;
  await sql`delete from users`;
  const restored = await restore(database, backup);
  expect(restored.find(({ table }) => table === 'calendly_webhook_events')).toMatchObject({
    restored: 1500,
    equal: 1500,
    orphaned: 0,
  });
});

test('ids that mean somebody else now are refused, and nothing is mixed up', async () => {
  const { sql, database, backup } = await migrated(null);
  await fill(database, true);
  await rollback(database, { to: '0', backup });
  await migrate(database);
  await sql`insert into users (email) values ('stranger@example.com')`;
  await expect(restore(database, backup)).rejects.toMatchObject({
    code: 'failed',
    message: 'users 1 is another row now than the one in the backup; nothing was restored.',
  });
  expect(await sql`select email from users`).toEqual([{ email: 'stranger@example.com' }]);
});

describe('a backup', () => {
  test('a backup is left out when there is nothing to copy, and is listed and dropped by name', async () => {
    const { sql, database, backup } = await migrated('integer');
    const before = await schemaOf(sql);
    expect((await rollback(database, { backup })).backup).toBeNull();
    expect(await listBackups(database)).toEqual([]);
    await migrate(database);
    await sql`insert into calendly_webhook_events (event_id, event_type, payload) values ('e', 't', '{}')`;
    await rollback(database, { backup });
    expect(await listBackups(database)).toEqual([{ name: backup, versions: ['022'], rows: 1 }]);
    await expect(dropBackup(database, `${backup}9`)).rejects.toMatchObject({
      code: 'usage',
      hint: `There are: ${backup}`,
    });
    await dropBackup(database, backup);
    await migrate(database);
    expect(await schemaOf(sql)).toEqual(before);
  });

  test('a backup has no table with the name of an original, and nobody else may look into it', async () => {
    const { url, sql, database, backup } = await migrated('integer');
    await fill(database, false);
    const role = await makeRole(url, 'reader');
    await rollback(database, { backup, to: '0' });
    const tables = await sql<{ relname: string }[]>`
      select relname from pg_class where relnamespace = to_regnamespace(${backup}) and relkind = 'r' order by 1`;
    expect(tables.map(({ relname }) => relname)).toEqual(
      expect.arrayContaining(['manifest', 't1_users', 't2_meetings', 't3_calendly_webhook_events']),
    );
    const other = openServer(role.url);
    open.push(other);
    await expect(other.statement(`select * from "${backup}".t1_users`)).rejects.toMatchObject({
      message: expect.stringContaining('permission denied for schema'),
    });
  });

  test('a backup that does not exist restores nothing, and the error names those that do', async () => {
    const { database, backup } = await migrated('integer');
    await expect(restore(database, backup)).rejects.toMatchObject({
      code: 'usage',
      hint: 'This database has no backups.',
    });
  });

  test('a backup of migrations that are not applied asks for them first', async () => {
    const { database, backup } = await migrated('integer');
    await fill(database, false);
    await rollback(database, { backup });
    await expect(restore(database, backup)).rejects.toMatchObject({
      code: 'schema_not_ready',
      message: 'The backup holds data of migration 022, which is not applied; nothing was restored.',
    });
  });
});

test('a restore after an adoption knows which rows the sync inserted', async () => {
  const { sql, database, backup } = await migrated('integer');
  await fill(database, false);
  const marks = () => sql`select external_id, adopted from calendly_events order by 1`;
  const before = [...(await marks())];
  await rollback(database, { to: '0', backup });
  expect((await migrate(database)).adoption).toMatchObject({ adopted: 6 });
  await sql`update calendly_events set digest = 'synced since', written_at = now() where external_id = 'm2'`;
  await restore(database, backup);
  const read = await sql`select external_id from calendly_events where fingerprint is null order by 1`;
  expect([...read]).toEqual([{ external_id: 'm2' }]);
  expect([...(await marks())]).toEqual(before);
});
