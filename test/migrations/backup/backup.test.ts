import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { readBackup } from '../../../src/migrations/backup/file.js';
import { restore } from '../../../src/migrations/backup/restore.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { planRollback, rollback } from '../../../src/migrations/rollback.js';
import { testDatabase } from '../../support/database.js';
import { type IdType, makeHost } from '../../support/hosts.js';
import { temporaryFolder } from '../../support/program.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

async function migrated(idType: IdType | null, schema: string | null = null) {
  const { url, sql } = await testDatabase('empty');
  if (idType) await makeHost(sql, idType);
  const database = openServer(url, { schema });
  open.push(database);
  await migrate(database);
  return { sql, database, file: join(temporaryFolder(), 'backups', 'one.jsonl.gz') };
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
      insert into calendly_accounts (user_id, calendly_uri, access_token_encrypted, lease_expires_at)
      values (${bob ?? ''}, 'https://api.calendly.com/users/BOB', '\\x00ff0a', '2026-02-01'), (${ada ?? ''}, 'https://api.calendly.com/users/ADA', null, null)`;
    await sql`insert into calendly_sync_runs (account_id, user_id, mode, counts) select id, user_id, 'full', '{"new": 3}' from calendly_accounts`;
    await sql`insert into calendly_event_reads (meeting_id, fingerprint) select id, title from meetings where meeting_source = 'calendly'`;
    await sql`insert into calendly_pending_events (account_id, calendly_uri, kind, event, run_id) select id, 'u', 'changed', 'null', 9007199254740993 from calendly_accounts`;
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
    where relkind = 'r' and nspname !~ '^pg_|information_schema' and relname <> 'calendly_migrations' order by 1`;
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
      const { sql, database, file } = await migrated(idType);
      await fill(database, idType === null);
      const before = await everything(sql);
      expect(await rollback(database, { backupFile: file })).toMatchObject({ backup: file });
      expect(await everything(sql)).not.toEqual(before);
      await migrate(database);
      const restored = await restore(database, file);
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
      for (const table of await restore(database, file)) {
        expect(table).toMatchObject({ restored: 0, equal: table.rows, changed: 0, orphaned: 0 });
      }
      expect(await everything(sql)).toEqual(before);
    });

    test('of everything bring every value back, and new rows get new ids', async () => {
      const { sql, database, file } = await migrated(idType);
      await fill(database, idType === null);
      const before = await everything(sql);
      expect((await rollback(database, { to: '0', backupFile: file })).rolled_back).toHaveLength(8);
      expect(await sql`select to_regclass('calendly_migrations') as left`).toEqual([{ left: null }]);
      await migrate(database);
      await restore(database, file);
      expect(await everything(sql)).toEqual(before);
      await restore(database, file);
      expect(await everything(sql)).toEqual(before);
      if (idType === null) {
        await sql`insert into users (email) values ('new@example.com')`;
        await sql`insert into calendly_sync_runs (account_id, user_id, mode) select id, user_id, 'full' from calendly_accounts`;
      }
    });
  },
);

test('a schema of our own is backed up and restored like any other', async () => {
  const { sql, database, file } = await migrated('uuid', 'Our "own"');
  await fill(database, false);
  const before = await everything(sql);
  await rollback(database, { to: '0', backupFile: file });
  await migrate(database);
  await restore(database, file);
  expect(await everything(sql)).toEqual(before);
});

test('what was written after the rollback stays, and rows whose user is gone are left out', async () => {
  const { sql, database, file } = await migrated('integer');
  await fill(database, false);
  await rollback(database, { backupFile: file });
  await migrate(database);
  await sql`update users set last_calendly_sync = '2027-01-01' where email = 'ada@example.com'`;
  await sql`insert into calendly_webhook_events (id, event_id, event_type, payload) values (gen_random_uuid(), 'e7', 'other', '{}')`;
  await sql`delete from meetings where user_id = (select id from users where email = 'bob@example.com')`;
  await sql`delete from users where email = 'bob@example.com'`;
  const restored = await restore(database, file);
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

test('a webhook event whose user is gone keeps its row, without the user', async () => {
  const { sql, database, file } = await migrated('integer');
  await fill(database, false);
  await rollback(database, { backupFile: file });
  await migrate(database);
  await sql`delete from meetings`;
  await sql`delete from users`;
  const restored = await restore(database, file);
  expect(restored.find(({ table }) => table === 'calendly_webhook_events')).toMatchObject({
    restored: 1500,
    equal: 1500,
    orphaned: 0,
  });
  expect(
    await sql`select count(*)::integer as n from calendly_webhook_events where user_id is not null`,
  ).toEqual([{ n: 0 }]);
});

test('ids that mean somebody else now are refused, and nothing is mixed up', async () => {
  const { sql, database, file } = await migrated(null);
  await fill(database, true);
  await rollback(database, { to: '0', backupFile: file });
  await migrate(database);
  await sql`insert into users (email) values ('stranger@example.com')`;
  await expect(restore(database, file)).rejects.toMatchObject({
    code: 'failed',
    message: 'users 1 is another row now than the one in the backup; nothing of users was restored.',
  });
  expect(await sql`select email from users`).toEqual([{ email: 'stranger@example.com' }]);
});

describe('the backup file', () => {
  test('is for its owner only, names where it came from, and is left out when there is nothing to save', async () => {
    const { sql, database, file } = await migrated('integer');
    expect((await rollback(database, { backupFile: file })).backup).toBeNull();
    expect(existsSync(file)).toBe(false);
    await migrate(database);
    await sql`insert into calendly_webhook_events (event_id, event_type, payload) values ('e', 't', '{}')`;
    await rollback(database, { backupFile: file });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const head = JSON.parse(gunzipSync(readFileSync(file)).toString().split('\n')[0] ?? '');
    expect(head).toMatchObject({ calendly_sync_backup: 1, version: '022', database: database.label });
  });

  test('that was damaged, cut off or is something else restores nothing', async () => {
    const { sql, database, file } = await migrated('integer');
    await fill(database, false);
    await rollback(database, { backupFile: file });
    await migrate(database);
    const good = readFileSync(file);
    const text = gunzipSync(good).toString();
    const damaged: Record<string, Buffer> = {
      'a changed value': gzipSync(text.replace('invitee.created', 'invitee.cancel!')),
      'a missing line': gzipSync(text.replace(/^\["[^\n]*\n/m, '')),
      'no gzip': Buffer.from(text),
      'another gzip': gzipSync('{"hello": 1}\n'),
      'a cut': good.subarray(0, good.length / 2),
      nothing: Buffer.alloc(0),
    };
    for (const [name, content] of Object.entries(damaged)) {
      writeFileSync(file, content);
      await expect(restore(database, file), name).rejects.toMatchObject({
        code: 'failed',
        message: expect.stringContaining('damaged'),
      });
    }
    await expect(restore(database, `${file}.not-there`)).rejects.toMatchObject({ code: 'usage' });
    expect(await sql`select from calendly_webhook_events`).toHaveLength(0);
    writeFileSync(file, good);
    expect((await restore(database, file)).length).toBeGreaterThan(0);
  });

  test('whose last section broke off still gives the ones before it: that section dropped nothing', async () => {
    const { database, file } = await migrated('integer');
    await fill(database, false);
    await rollback(database, { backupFile: file });
    const whole = statSync(file).size;
    await rollback(database, { to: '3', backupFile: file });
    const both = statSync(file).size;
    expect(both).toBeGreaterThan(whole);
    truncateSync(file, both - 60);
    expect((await readBackup(file)).map(({ version }) => version)).toEqual(['022']);
  });

  test('of migrations that are not applied asks for them first', async () => {
    const { database, file } = await migrated('integer');
    await fill(database, false);
    await rollback(database, { backupFile: file });
    await expect(restore(database, file)).rejects.toMatchObject({
      code: 'schema_not_ready',
      message: 'The backup holds data of migration 022, which is not applied.',
    });
  });
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
