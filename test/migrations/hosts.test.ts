import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { requireSchema } from '../../src/database/schema.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { testDatabase } from '../support/database.js';
import { createOrigin, hostRows, ID_TYPES, makeHost } from '../support/hosts.js';
import { schemaOf } from '../support/schema.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

async function host(schema: string | null = null) {
  const { url, sql } = await testDatabase('empty');
  const database = openServer(url, { schema });
  open.push(database);
  return { url, sql, database };
}

describe.each(ID_TYPES)('a database whose keys are %s', (idType) => {
  test('gets all migrations, keeps every row, and is as before after rollback --to 0', async () => {
    const { sql, database } = await host();
    await makeHost(sql, idType);
    const schema = await schemaOf(sql);
    const rows = await hostRows(sql);
    const files = () =>
      sql`select pg_relation_filenode('users') as users, pg_relation_filenode('meetings') as meetings`;
    const storage = await files();

    expect((await migrate(database)).pending).toEqual([]);
    expect(await migrationStatus(database)).toMatchObject({ pending: [], files: [], drift: [] });
    expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: true });
    expect(await hostRows(sql)).toEqual(rows);
    const types = await sql`
      select attrelid::regclass::text as table, attname as column, format_type(atttypid, atttypmod) as type from pg_attribute
      where attname in ('user_id', 'meeting_id') and attrelid::regclass::text ~ '^(calendly_|meeting)'
        and attrelid in (select oid from pg_class where relkind = 'r')`;
    expect(types.length).toBeGreaterThanOrEqual(6);
    expect(new Set(types.map(({ type }) => type))).toEqual(new Set([idType]));
    expect(await sql`select 1 from pg_constraint where not convalidated`).toEqual([]);

    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(schema);
    expect(await hostRows(sql)).toEqual(rows);
    // Neither up nor down has rewritten a table: that would stop everybody for as long as it is big.
    expect(await files()).toEqual(storage);
  });

  test('with only a users table gets a meetings of our own, which goes again', async () => {
    const { sql, database } = await host();
    await makeHost(sql, idType);
    await sql.unsafe('drop view "My Meetings"; drop table meetings');
    const schema = await schemaOf(sql);
    await migrate(database);
    const [user] = await sql`select id from users limit 1`;
    await sql`insert into meetings (user_id, external_id) values (${user?.id}, 'a')`;
    const [health] = await sql`select * from calendly_sync_health where user_id = ${user?.id}`;
    expect(health).toMatchObject({ active_calendly_meetings: '1' });
    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(schema);
  });

  test('can keep our tables in a schema of their own, and the host stays where it is', async () => {
    const { sql, database } = await host('My "own" Schema');
    await makeHost(sql, idType, 'The App');
    const schema = await schemaOf(sql);
    await migrate(database);
    const tables = await sql`
      select distinct nspname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where relkind in ('r', 'v') and (relname like 'calendly%' or relname = 'meeting_invitees')`;
    expect(tables).toEqual([{ nspname: 'My "own" Schema' }]);
    expect(await migrationStatus(database)).toMatchObject({ pending: [], drift: [] });
    expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: true });
    const [cleaned] = await database.transaction((tx) => tx`select clean_old_webhook_events() as gone`);
    expect(cleaned).toEqual({ gone: 0 });
    expect(await database.transaction((tx) => tx`select * from calendly_sync_health`)).toHaveLength(2);
    expect((await migrate(database)).applied).toEqual([]);
    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(schema);
  });
});

test('a meetings that lacks nearly everything gets columns, and no index, constraint or trigger', async () => {
  const { sql, database } = await host();
  await sql.unsafe(`
    create table users (id uuid primary key default gen_random_uuid());
    create table meetings (id text primary key default gen_random_uuid()::text, subject text);
    insert into meetings (subject) select 'row ' || n from generate_series(1, 50) as n;
    insert into users default values;`);
  const schema = await schemaOf(sql);
  const onHost = () =>
    schemaOf(sql).then((lines) =>
      lines.filter(
        (line) =>
          /^(index|constraint|trigger)/.test(line) && /public\.?\W*(\| )?(users|meetings)\b/.test(line),
      ),
    );
  const before = await onHost();
  await migrate(database);
  expect((await migrationStatus(database)).drift).toEqual([]);
  expect(await onHost()).toEqual(before);
  // The rows of others are no Calendly meetings, and count as none.
  expect(await sql`select count(*) from meetings where meeting_source is not null or is_deleted`).toEqual([
    { count: '0' },
  ]);
  expect(await sql`select email, active_calendly_meetings from calendly_sync_health`).toEqual([
    { email: null, active_calendly_meetings: '0' },
  ]);
  await rollback(database, { to: '0', backup: null });
  expect(await schemaOf(sql)).toEqual(schema);
});

test('what the older 022 left is replaced, closed and copied, and is exactly as before after a rollback', async () => {
  const { sql, database } = await host();
  await makeHost(sql, 'integer');
  await sql.unsafe(`
    alter table users add column last_calendly_sync timestamptz, add column calendly_initial_sync_complete boolean default false;
    comment on column users.last_calendly_sync is 'Last time Calendly was synced for this user';
    create table calendly_webhook_events (
      id uuid primary key default gen_random_uuid(), event_id text unique not null, event_type text not null, payload jsonb not null,
      user_id integer references users (id), processed_at timestamptz default now(), created_at timestamptz default now());
    grant select on calendly_webhook_events to public;
    insert into calendly_webhook_events (event_id, event_type, payload, user_id) values ('e1', 'invitee.created', '{}', 1);
    create function clean_old_webhook_events() returns void language sql as 'select';
    comment on function clean_old_webhook_events() is 'theirs';
    revoke all on function clean_old_webhook_events() from public;
    create view calendly_sync_health as select id as user_id, email from users;
    comment on view calendly_sync_health is 'their view';
    grant select on calendly_sync_health to public;`);
  const schema = await schemaOf(sql);
  await migrate(database);
  expect((await migrationStatus(database)).drift).toEqual([]);
  const [health] = await sql`select * from calendly_sync_health where user_id = 1`;
  expect(health).toMatchObject({ webhook_events_received: '1', calendly_webhook_enabled: false });
  await rollback(database, { to: '0', backup: null });
  expect(await schemaOf(sql)).toEqual(schema);
  expect(await sql`select event_id from calendly_webhook_events`).toEqual([{ event_id: 'e1' }]);
});

test.each(['removed', 'replaced'])(
  'comments that somebody has %s are restored before a rollback',
  async (how) => {
    const { sql, database } = await host();
    await createOrigin(sql, { strict: true, older022: true });
    const schema = await schemaOf(sql);
    await migrate(database);
    const comment = how === 'removed' ? 'null' : "'ours now'";
    await sql.unsafe(`do $$ declare item text; begin
    for item in
      select case when objsubid > 0 then format('column %s.%I', objoid::regclass, attname)
        when classoid = 'pg_proc'::regclass then format('function %s', objoid::regprocedure)
        else format('%s %s', case relkind when 'v' then 'view' else 'table' end, objoid::regclass) end
      from pg_description left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0
        left join pg_class on pg_class.oid = objoid and classoid = 'pg_class'::regclass
      where description like 'calendly-sync%'
    loop execute format('comment on %s is ${comment.replaceAll("'", "''")}', item); end loop;
  end $$`);
    expect((await migrationStatus(database)).drift).toEqual([]);
    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(schema);
  },
);

test('a search_path that is not public takes everything into its first schema', async () => {
  const { url, sql } = await testDatabase('empty');
  await sql.unsafe(`create schema "App Data"`);
  await sql.unsafe(
    `do $$ begin execute format('alter database %I set search_path = "App Data"', current_database()); end $$`,
  );
  const database = openServer(url);
  open.push(database);
  await migrate(database);
  expect(await sql`select count(*) from pg_class where relnamespace = 'public'::regnamespace`).toEqual([
    { count: '0' },
  ]);
  expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: true });
});

test('a command without --schema names the schema that has the tables, and creates no second set', async () => {
  const { url, sql, database } = await host('calendly');
  await makeHost(sql, 'integer');
  await migrate(database);
  const without = openServer(url);
  open.push(without);
  await expect(migrate(without)).rejects.toMatchObject({
    code: 'preflight',
    message: expect.stringContaining(
      'calendly-sync keeps its tables for these users in schema calendly already, not in public.',
    ),
    hint: 'Add --schema calendly, or set CALENDLY_SYNC_SCHEMA=calendly.',
  });
  await expect(without.transaction(requireSchema)).rejects.toMatchObject({
    code: 'schema_not_ready',
    hint: 'Its tables are in schema calendly: name it with --schema or CALENDLY_SYNC_SCHEMA.',
  });
});

test('two schemas with a users each: --schema asks which one is meant', async () => {
  const { sql, database } = await host('calendly');
  await makeHost(sql, 'integer', 'one');
  await makeHost(sql, 'integer', 'two');
  await expect(migrate(database)).rejects.toMatchObject({
    code: 'settings',
    message: 'Several schemas have a table users: one, two.',
  });
});
