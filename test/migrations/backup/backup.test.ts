import type postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { backupName, dropBackup, listBackups } from '../../../src/migrations/backup/backup.js';
import { restore } from '../../../src/migrations/backup/restore.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { planRollback, rollback } from '../../../src/migrations/rollback.js';
import { VERSIONS } from '../../sql/files.js';
import { testDatabase } from '../../support/database.js';
import { type IdType, makeHost } from '../../support/hosts.js';
import { makeRole } from '../../support/roles.js';
import { schemaOf } from '../../support/schema.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

async function migrated(idType: IdType | null, schema: string | null = null) {
  const { url, sql } = await testDatabase('empty');
  if (idType) await makeHost(sql, idType);
  const database = openServer(url, { schema });
  open.push(database);
  await migrate(database);
  return { url, sql, database, backup: backupName(new Date()) };
}

const ODD_TEXTS = [`it's "quoted" \\ and \t tabbed`, 'שלום', '😀\u2028', '', '{"a":1}', 'null'];

/** Fills every table of ours with values that are easy to get wrong. */
async function fill(database: Database, own: boolean): Promise<void> {
  await database.transaction(async (sql) => {
    if (own)
      await sql`insert into users (email, name) values ('ada@example.com', 'Ada'), ('bob@example.com', null)`;
    const users = await sql`select id from users order by email`;
    const [ada, bob] = users.map(({ id }) => id as string);
    await sql`
      update users set last_calendly_sync = '2026-01-31T10:11:12.123456Z', calendly_initial_sync_complete = true
      where id = ${ada ?? ''}`;
    await sql`update users set calendly_initial_sync_complete = null, last_calendly_sync = 'infinity' where id = ${bob ?? ''}`;
    for (const [index, text] of ODD_TEXTS.entries()) {
      await sql`
        insert into meetings (user_id, meeting_source, external_id, title, location, raw, is_deleted, synced_via_webhook, invitees_total,
          calendly_updated_at, last_calendar_sync)
        values (${ada ?? ''}, 'calendly', ${`m${index}`}, ${text}, ${index === 0 ? null : JSON.stringify(text)}::text::jsonb, 'null', ${index % 2 === 0},
          ${index === 5 ? null : index % 3 === 0}, ${index}, '2026-01-31T10:11:12.000001Z', now())`;
    }
    await sql`
      insert into meeting_invitees (meeting_id, calendly_uri, email, rescheduled, questions_and_answers, no_show_at)
      select id, 'uri-' || external_id, title, external_id = 'm1', '[{"q": 1.0000000000000000000001}]', '-infinity' from meetings
      where meeting_source = 'calendly'`;
    await sql`
      insert into calendly_accounts (user_id, calendly_uri, last_error_at)
      values (${bob ?? ''}, 'https://api.calendly.com/users/BOB', '2026-02-01'), (${ada ?? ''}, 'https://api.calendly.com/users/ADA', null)`;
    await sql`insert into calendly_leases (account_id, due_at) select id, 'infinity' from calendly_accounts`;
    await sql`insert into calendly_tokens (account_id, kind, access) select id, 'oauth', '\\x00ff0a' from calendly_accounts`;
    await sql`insert into calendly_sync_runs (account_id, user_id, mode, counts) select id, user_id, 'full', '{"new": 3}' from calendly_accounts`;
    await sql`
      insert into calendly_events (user_id, external_id, meeting_id, fingerprint, adopted)
      select user_id, external_id, id, title, external_id = 'm1' from meetings where meeting_source = 'calendly'`;
    await sql`insert into calendly_pending_events (account_id, calendly_uri, kind, run_id) select id, 'u', 'invitees', 9007199254740993 from calendly_accounts`;
    await sql`insert into calendly_webhook_rejections (hour, reason, count) values ('2026-01-01', 'bad signature', 9007199254740993)`;
    await sql`
      insert into calendly_webhook_events (event_id, event_type, payload, user_id, processed_at)
      select 'e' || n, 'invitee.created', jsonb_build_object('n', n, 'text', ${ODD_TEXTS[0] ?? ''}::text), case when n % 2 = 0 then (select id from users where email = 'ada@example.com') end,
        case when n % 3 = 0 then clock_timestamp() end
      from generate_series(1, 1500) as n`;
  });
}

/** Every row of every table, as Postgres writes it; the history without its times. */
async function everything(sql: postgres.Sql): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select pg_class.oid::regclass::text as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind = 'r' and nspname !~ '^pg_|information_schema' and relname <> 'calendly_migrations' and nspname not like 'calendly_backup%' order by 1`;
  const rows: string[] = [];
  for (const { name } of tables) {
    const found = await sql.unsafe<{ row: string }[]>(
      `select (select string_agg(key || '=' || coalesce(value, '∅'), '|' order by key) from json_each_text(row_to_json(t)) where key <> 'touched') as row from ${name} as t order by 1`,
    );
    rows.push(...found.map(({ row }) => `${name}: ${row}`));
  }
  return rows;
}

describe.each([null, 'integer', 'bigint', 'uuid', 'text'] as const)(
  'with host keys %s, rollback and restore',
  (idType) => {
    test('of 022 bring every value back, and again change nothing', async () => {
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

    test('of everything bring every value back, and new rows get new ids', async () => {
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
  test('is left out when there is nothing to copy, and is listed and dropped by name', async () => {
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

  test('has no table with the name of an original, and nobody else may look into it', async () => {
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

  test('that does not exist restores nothing, and the error names those that do', async () => {
    const { database, backup } = await migrated('integer');
    await expect(restore(database, backup)).rejects.toMatchObject({
      code: 'usage',
      hint: 'This database has no backups.',
    });
  });

  test('of migrations that are not applied asks for them first', async () => {
    const { database, backup } = await migrated('integer');
    await fill(database, false);
    await rollback(database, { backup });
    await expect(restore(database, backup)).rejects.toMatchObject({
      code: 'schema_not_ready',
      message: 'The backup holds data of migration 022, which is not applied; nothing was restored.',
    });
  });
});

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
  const { readMigrations } = await import('../../../src/migrations/files.js');
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
