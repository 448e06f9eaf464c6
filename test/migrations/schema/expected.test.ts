import { afterAll, expect, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { readCatalog } from '../../../src/migrations/schema/catalog.js';
import { HOST_COLUMNS, INDEXES, OWN_TABLES } from '../../../src/migrations/schema/expected.js';
import { testDatabase } from '../../support/database.js';

const { url, sql } = await testDatabase('empty');
const database = openServer(url);
afterAll(() => database.close());

test('the inventory names exactly what the files make, each thing under its own version', async () => {
  await migrate(database, { to: '7' });
  const before = await database.transaction((tx) => readCatalog(tx, null));
  for (const [name, { version, columns }] of Object.entries(OWN_TABLES)) {
    const table = before.tables[name];
    if (version === '022') {
      expect(table, name).toBeUndefined();
      continue;
    }
    expect(table?.mark, name).toMatch(`calendly-sync ${version}`);
    const types = Object.fromEntries(
      Object.entries(table?.columns ?? {}).map(([column, { type }]) => [column, type]),
    );
    const wanted = Object.entries(columns).map(([column, type]) => [
      column,
      type.endsWith('.id') ? 'bigint' : type,
    ]);
    expect(types, name).toEqual(Object.fromEntries(wanted));
  }
  const { synced_via_webhook: _, ...of001 } = HOST_COLUMNS.meetings;
  expect(Object.keys(before.tables.meetings?.columns ?? {})).toEqual(['id', ...Object.keys(of001)]);

  await migrate(database);
  const after = await database.transaction((tx) => readCatalog(tx, null));
  expect(Object.keys(after.tables.calendly_webhook_events?.columns ?? {})).toEqual(
    Object.keys(OWN_TABLES.calendly_webhook_events?.columns ?? {}),
  );
  for (const host of ['users', 'meetings'] as const) {
    const of022 = Object.entries(HOST_COLUMNS[host]).filter(([, { version }]) => version === '022');
    const added = Object.keys(after.tables[host]?.columns ?? {}).slice(
      Object.keys(before.tables[host]?.columns ?? {}).length,
    );
    expect(added.sort(), host).toEqual(of022.map(([name]) => name).sort());
  }
});

test('and every index that does not belong to a constraint', async () => {
  const rows = await sql<{ relname: string }[]>`
    select relname from pg_index join pg_class on pg_class.oid = indexrelid
    where relnamespace = 'public'::regnamespace
      and not exists (select from pg_constraint where conindid = indexrelid)
    order by 1`;
  expect(rows.map(({ relname }) => relname)).toEqual(Object.keys(INDEXES).sort());
});

test('every foreign key is led by an index', async () => {
  const bare = await sql`
    select conrelid::regclass::text as table, conname from pg_constraint
    where contype = 'f' and connamespace = 'public'::regnamespace
      and not exists (select from pg_index where indrelid = conrelid and indkey[0] = conkey[1])`;
  expect(bare).toEqual([]);
});

test('the columns of the guide are there: three on users, and the view in the order of the design', async () => {
  const columns = await sql<{ column_name: string; data_type: string }[]>`
    select column_name, data_type from information_schema.columns
    where table_name = 'users' and column_name like '%calendly%' order by 1`;
  expect(columns).toEqual([
    { column_name: 'calendly_initial_sync_complete', data_type: 'boolean' },
    { column_name: 'calendly_webhook_enabled', data_type: 'boolean' },
    { column_name: 'last_calendly_sync', data_type: 'timestamp with time zone' },
  ]);
  const view = await sql<{ column_name: string }[]>`
    select column_name from information_schema.columns where table_name = 'calendly_sync_health' order by ordinal_position`;
  expect(view.map(({ column_name }) => column_name)).toEqual([
    'user_id',
    'email',
    'last_calendly_sync',
    'calendly_initial_sync_complete',
    'calendly_webhook_enabled',
    'active_calendly_meetings',
    'deleted_calendly_meetings',
    'webhook_synced_meetings',
    'last_meeting_sync',
    'webhook_events_received',
  ]);
});

test('the health view counts each thing once, and only what is of Calendly', async () => {
  await sql`insert into users (email) values ('a@example.com'), ('b@example.com')`;
  await sql`
    insert into meetings (user_id, meeting_source, external_id, is_deleted, synced_via_webhook, last_calendar_sync)
    select 1, case when n <= 150 then 'calendly' else 'google' end, n::text, n <= 2, n <= 5, '2026-01-01'::timestamptz + n * interval '1 hour'
    from generate_series(1, 170) as n`;
  await sql`
    insert into calendly_webhook_events (event_id, event_type, payload, user_id)
    select 'e' || n, 'invitee.created', '{}', case when n <= 5 then 1 end from generate_series(1, 7) as n`;
  expect(await sql`select * from calendly_sync_health order by user_id`).toMatchObject([
    {
      user_id: '1',
      active_calendly_meetings: '148',
      deleted_calendly_meetings: '2',
      webhook_synced_meetings: '5',
      webhook_events_received: '5',
      last_meeting_sync: new Date('2026-01-07T06:00:00Z'),
    },
    { user_id: '2', active_calendly_meetings: '0', webhook_events_received: '0', last_meeting_sync: null },
  ]);
});

test('clean_old_webhook_events() deletes what is older than 30 days, says how many, and finds its table from any search_path', async () => {
  await sql`update calendly_webhook_events set created_at = now() - interval '31 days' where event_id in ('e1', 'e2', 'e7')`;
  const [cleaned] = await sql.begin(async (tx) => {
    await tx`set local search_path = pg_catalog`;
    return tx`select public.clean_old_webhook_events() as deleted`;
  });
  expect(cleaned).toEqual({ deleted: 3 });
  expect(await sql`select count(*)::integer as left from calendly_webhook_events`).toEqual([{ left: 4 }]);
});
