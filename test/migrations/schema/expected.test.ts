import { afterAll, beforeAll, expect, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { testDatabase } from '../../support/database.js';

const { url, sql } = await testDatabase('empty');
const database = openServer(url);
beforeAll(() => migrate(database));
afterAll(() => database.close());

/** Types that no column of ours has, so that each column shows which key it refers to. */
const KEYS: Readonly<Record<string, string>> = { smallint: 'users.id', numeric: 'meetings.id' };

test('the expected schema is what the files create: npm run schema writes it again', async () => {
  const host = await testDatabase('empty');
  await host.sql.unsafe(`
    create table users (id smallint primary key);
    create table meetings (id numeric primary key default random())`);
  const second = openServer(host.url);
  await migrate(second);
  await second.close();
  const rows = await host.sql<{ version: string; keys: string[] }[]>`
    select version, array(select jsonb_object_keys(made) order by 1) as keys from calendly_migrations order by 1`;
  const lines: string[] = [];
  for (const { version, keys } of rows) {
    lines.push(`  '${version}': {`);
    const added = new Set(keys.flatMap((key) => /^column (.*)[.]/.exec(key)?.[1] ?? []));
    for (const table of [...added].sort()) {
      const names = keys.flatMap((key) =>
        key.startsWith(`column ${table}.`) ? [key.split('.')[1] ?? ''] : [],
      );
      lines.push(`    'columns ${table}': '${await columns(host.sql, table, names)}',`);
    }
    for (const key of keys.filter((name) => !name.startsWith('column '))) {
      const table = /^table (.*)$/.exec(key)?.[1];
      lines.push(`    '${key}': '${table ? await columns(host.sql, table) : ''}',`);
    }
    lines.push('  },');
  }
  const text = `// biome-ignore-all format: one line per object
/**
 * What each migration creates, and the columns of its tables: written by \`npm run schema\` from what the files really create.
 * \`users.id\` and \`meetings.id\` stand for the type of that column. Do not edit.
 */
export const EXPECTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
${lines.join('\n')}
};
`;
  await expect(text).toMatchFileSnapshot('../../../src/migrations/schema/expected.ts');
});

async function columns(on: typeof sql, table: string, only?: string[]): Promise<string> {
  const rows = await on<{ name: string; type: string }[]>`
    select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = to_regclass(${table}) and attnum > 0 and not attisdropped order by attnum`;
  return rows
    .filter(({ name }) => !only || only.includes(name))
    .map(({ name, type }) => `${name} ${KEYS[type] ?? type}`)
    .join(', ');
}

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
