import { expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { backupName, listBackups } from '../../src/migrations/backup/backup.js';
import { restore } from '../../src/migrations/backup/restore.js';
import { migrate } from '../../src/migrations/migrate.js';
import { planRollback, rollback } from '../../src/migrations/rollback.js';
import { VERSIONS } from '../sql/files.js';
import { everything, fill, migrated, open } from '../support/backup-data.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { makeRole } from '../support/roles.js';
import { schemaOf } from '../support/schema.js';

test('a role that row-level security applies to destroys nothing: neither plan nor rollback goes by rows that it cannot see', async () => {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  const role = await makeRole(url, 'forced');
  await sql.unsafe(`
    grant usage, create on schema public to "${role.name}";
    alter table users owner to "${role.name}"; alter table meetings owner to "${role.name}"`);
  const database = openServer(role.url);
  open.push(database);
  await migrate(database);
  await sql`update users set last_calendly_sync = now()`;
  await sql.unsafe('alter table users enable row level security; alter table users force row level security');
  const before = await schemaOf(sql);
  for (const work of [planRollback, rollback]) {
    await expect(work(database, { backup: backupName(new Date()) })).rejects.toMatchObject({
      message: expect.stringContaining(
        'query would be affected by row-level security policy for table "users"',
      ),
      hint: expect.stringContaining('connect as a role with BYPASSRLS'),
    });
  }
  expect(await schemaOf(sql)).toEqual(before);
  expect(await sql`select from users where last_calendly_sync is null`).toHaveLength(0);
});

test('a rollback that fails midway says what it has undone and where the backup is', async () => {
  const { sql, database, backup } = await migrated('integer');
  await fill(database, false);
  await sql.unsafe('create view theirs as select email from meeting_invitees');
  await expect(rollback(database, { to: '0', backup })).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringContaining('view theirs depends on table meeting_invitees'),
    result: {
      rolled_back: VERSIONS.slice(1)
        .reverse()
        .map((version) => ({ version, name: expect.any(String) })),
      backup,
    },
  });
  expect((await listBackups(database))[0]?.versions).toEqual(
    expect.arrayContaining(['002', '003', '004', '022']),
  );
});

test('after a dump without comments, a rollback still removes everything of ours and nothing else', async () => {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  const before = await schemaOf(sql);
  const database = openServer(url);
  open.push(database);
  await migrate(database);
  await sql.unsafe(`
    do $$ declare item record; begin
      for item in select objoid, objsubid, classoid from pg_description where description like 'calendly-sync%' loop
        delete from pg_description where objoid = item.objoid and objsubid = item.objsubid and classoid = item.classoid;
      end loop;
    end $$;
    comment on column users.last_calendly_sync is 'somebody wrote this'`);
  await rollback(database, { to: '0', backup: null });
  expect(await schemaOf(sql)).toEqual(before);
});

test('a down file that leaves something of ours fails, and nothing is changed', async () => {
  const { sql, database } = await migrated('integer');
  const { readMigrations } = await import('../../src/migrations/files.js');
  const migrations = readMigrations().map((migration) =>
    migration.version === '022'
      ? { ...migration, down: { path: '/sql/022_x.down.sql', text: 'drop view calendly_sync_health' } }
      : migration,
  );
  const before = await schemaOf(sql);
  await expect(rollback(database, { backup: null, migrations })).rejects.toMatchObject({
    code: 'migration_failed',
    message: expect.stringMatching(
      /^022_x\.down\.sql left .*table calendly_webhook_events.*nothing was changed\.$/,
    ),
  });
  expect(await schemaOf(sql)).toEqual(before);
});

test('rows that the sync wrote stay in a host’s meetings, and go with --delete-synced, which leaves adopted ones', async () => {
  for (const deleteSynced of [false, true]) {
    const { sql, database } = await migrated('integer');
    await fill(database, false);
    expect((await planRollback(database, { to: '0' })).synced).toBe(6);
    await rollback(database, { to: '0', backup: null, deleteSynced });
    const [rows] = await sql`select count(*)::integer as n from meetings`;
    expect(rows).toEqual({ n: 80 + (deleteSynced ? 1 : 6) });
  }
});

test('--delete-synced keeps rows that the application refers to, and backs up the others with their invitees', async () => {
  const { sql, database, backup } = await migrated('integer');
  await fill(database, false);
  await sql.unsafe(`
    create table ai_notes (id serial, meeting_id integer references meetings on delete cascade);
    insert into ai_notes (meeting_id) select id from meetings where external_id = 'm0'`);
  const before = await everything(sql);
  const plan = await planRollback(database, { to: '0' });
  expect(plan).toMatchObject({ synced: 6, deletable: 4, kept: [{ table: 'ai_notes', rows: 1 }] });
  await rollback(database, { to: '0', backup, deleteSynced: true });
  expect(await sql`select count(*)::integer as n from meetings`).toEqual([{ n: 82 }]);
  expect(await sql`select from ai_notes`).toHaveLength(1);
  await migrate(database, { adopt: false });
  await restore(database, backup);
  expect(await everything(sql)).toEqual(before);
  for (const table of await restore(database, backup))
    expect(table).toMatchObject({ restored: 0, orphaned: 0 });
  expect(await everything(sql)).toEqual(before);
});

test('a rollback says before what goes, with counts', async () => {
  const { database } = await migrated('integer');
  await fill(database, false);
  const { steps, losses } = await planRollback(database, {});
  expect(steps.map(({ version }) => version)).toEqual(['022']);
  expect(Object.fromEntries(losses.map(({ object, rows }) => [object, rows]))).toEqual({
    'table calendly_webhook_events': 1500,
    'column users.last_calendly_sync': 2,
    'column users.calendly_initial_sync_complete': 2,
    'column users.calendly_webhook_enabled': 0,
    'column meetings.synced_via_webhook': 3,
    'view calendly_sync_health': null,
    'function clean_old_webhook_events()': null,
  });
  const all = await planRollback(database, { to: '0' });
  expect(all.losses.find(({ object }) => object === 'column meetings.raw')).toMatchObject({
    version: '001',
    rows: 6,
  });
  await expect(planRollback(database, { to: '99' })).rejects.toMatchObject({ code: 'usage' });
});
