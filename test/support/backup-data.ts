/** A migrated database with values in every table of ours that are easy to get wrong, and its rows as text. */
import type postgres from 'postgres';
import { afterAll } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { backupName } from '../../src/migrations/backup/backup.js';
import { migrate } from '../../src/migrations/migrate.js';
import { testDatabase } from './database.js';
import { type IdType, makeHost } from './hosts.js';

/** Closed after the file's tests. */
export const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

/** Creates a host's database, or an empty one, and migrates it. */
export async function migrated(idType: IdType | null, schema: string | null = null) {
  const { url, sql } = await testDatabase('empty');
  if (idType) await makeHost(sql, idType);
  const database = openServer(url, { schema });
  open.push(database);
  await migrate(database);
  return { url, sql, database, backup: backupName(new Date()) };
}

const ODD_TEXTS = [`it's "quoted" \\ and \t tabbed`, 'שלום', '😀\u2028', '', '{"a":1}', 'null'];

/** Fills every table of ours with values that are easy to get wrong. */
export async function fill(database: Database, own: boolean): Promise<void> {
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
export async function everything(sql: postgres.Sql): Promise<string[]> {
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
