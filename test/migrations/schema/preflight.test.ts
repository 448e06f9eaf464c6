import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { rollback } from '../../../src/migrations/rollback.js';
import { migrationStatus } from '../../../src/migrations/status.js';
import { testDatabase } from '../../support/database.js';
import { makeHost } from '../../support/hosts.js';
import { schemaOf } from '../../support/schema.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

function connect(url: string, schema: string | null = null): Database {
  const database = openServer(url, { schema });
  open.push(database);
  return database;
}

/** Migrates a host with this change, expects a refusal that changes nothing, and answers with what it says. */
async function refusal(change: string, schema: string | null = null): Promise<string> {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  await sql.unsafe(change);
  const before = await schemaOf(sql);
  const error = await migrate(connect(url, schema)).then(
    () => null,
    (thrown: { code: string; message: string; hint: string }) => thrown,
  );
  expect(error?.code).toBe('preflight');
  expect(await schemaOf(sql)).toEqual(before);
  return `${error?.message}\n${error?.hint}`;
}

const OWN_TABLES = 'keep all tables of calendly-sync apart: calendly-sync migrate --own-tables';

describe('a meetings that does not accept our rows is refused with Postgres’s own error and the way out', () => {
  test.each([
    {
      name: 'a required column that Calendly has no value for',
      change:
        'alter table meetings add column "Cost Center" text not null default 1; alter table meetings alter "Cost Center" drop default',
      says: 'null value in column "Cost Center" of relation "meetings" violates not-null constraint (SQLSTATE 23502)',
    },
    {
      name: 'an id that nothing generates',
      change: 'alter table meetings alter id drop identity',
      says: 'null value in column "id" of relation "meetings" violates not-null constraint',
    },
    {
      name: 'a column of our name with another type',
      change: `create type state as enum ('active', 'canceled', 'calendly-sync trial'); drop view "My Meetings"; alter table meetings drop column status, add column status state`,
      says: 'column "status" is of type state but expression is of type text (SQLSTATE 42804)',
    },
    {
      name: 'a user_id of another type than the key',
      change: 'drop view "My Meetings"; alter table meetings drop column user_id, add column user_id uuid',
      says: 'column "user_id" is of type uuid but expression is of type integer',
    },
    {
      name: 'a check on one of our columns',
      change: `alter table meetings add check (status in ('scheduled', 'done'))`,
      says: 'violates check constraint "meetings_status_check"',
    },
    {
      name: 'a check that only a canceled meeting breaks',
      change: `alter table meetings add check (status <> 'canceled')`,
      says: 'violates check constraint "meetings_status_check"',
    },
    {
      name: 'a sync_status that has no word for a deleted meeting',
      change: `alter table meetings add column sync_status text default 'active' check (sync_status in ('active', 'error'))`,
      says: 'violates check constraint "meetings_sync_status_check"',
    },
    {
      name: 'a column of our name that is too short',
      change: 'drop view "My Meetings"; alter table meetings alter external_id type varchar(20)',
      says: 'value too long for type character varying(20)',
    },
    {
      name: 'a column of our name that is too short for the JSON of a meeting',
      change: 'alter table meetings add column raw varchar(200)',
      says: 'value too long for type character varying(200)',
    },
    {
      name: 'a column of our name whose type cannot hold JSON',
      change: 'alter table meetings add column raw bytea',
      says: 'column "raw" is of type bytea but expression is of type jsonb',
    },
    {
      name: 'a column of our name that takes a time and returns text',
      change: 'alter table meetings add column canceled_at text',
      says: 'timezone(unknown, text) does not exist (SQLSTATE 42883)',
    },
    {
      name: 'a required column of our name that Calendly leaves empty',
      change:
        'alter table meetings add column join_url text not null default 1; alter table meetings alter join_url drop default',
      says: 'null value in column "join_url"',
    },
    {
      name: 'a generated column of our name',
      change: `alter table meetings add column join_url text generated always as ('x') stored`,
      says: 'into column "join_url" (SQLSTATE 42',
    },
    {
      name: 'a constraint that is checked at the end of the transaction',
      change:
        'create table rooms (id integer primary key); update meetings set "Room Number" = null; alter table meetings add foreign key ("Room Number") references rooms deferrable initially deferred',
      says: 'violates foreign key constraint',
    },
    {
      name: 'a trigger that raises',
      change: `create function no() returns trigger language plpgsql as $$ begin raise exception 'use the API'; end $$;
        create trigger no before insert on meetings for each row execute function no()`,
      says: 'use the API (SQLSTATE P0001)',
    },
    {
      name: 'a trigger that discards the row',
      change: `create function no() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger no before insert on meetings for each row execute function no()`,
      says: 'meetings discards a row from Calendly',
    },
  ])(
    'a meetings that does not accept our rows is refused with the error of Postgres: $name',
    async ({ change, says }) => {
      const said = await refusal(change);
      expect(said).toContain(says);
      expect(said).toContain(OWN_TABLES);
    },
  );

  test.each([
    'create table meeting_guests (id integer)',
    'create view meeting_hosts as select id from users',
    'create materialized view calendly_people as select id from users',
    'create type calendly_weekly as (week date)',
    'create table calendly_sync_health (id integer)',
  ])('a name that a view of ours needs is taken: refused before anything is changed: %s', async (change) => {
    const said = await refusal(change);
    expect(said).toContain('is taken by something that calendly-sync did not create');
    expect(said).toContain(OWN_TABLES);
  });

  test('what only looks like an obstacle is none: a domain, a check that our rows satisfy, a column with a default', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    await sql.unsafe(`
      create domain word as text check (value <> ''); create domain longer as word;
      drop view "My Meetings";
      alter table meetings alter status type longer, add check (status <> 'x'), add column team text not null default 'all',
        add column invitees_total text`);
    expect((await migrate(connect(url))).pending).toEqual([]);
  });

  test('the application’s own columns for the same facts are filled by the mirror, and it is named', async () => {
    const { url, sql } = await testDatabase('empty');
    await sql.unsafe(`
      create table users (id integer primary key generated by default as identity, email text);
      insert into users (email) values ('ada@example.com');
      create table meetings (
        id integer primary key generated by default as identity, userid text not null, googleeventid text, title text not null,
        starttime timestamptz not null, endtime timestamptz, meeting_source text, is_deleted boolean default false, sync_status text,
        last_calendar_sync timestamptz, calendly_event_uri text, calendly_event_uuid text)`);
    const before = await schemaOf(sql);
    const database = connect(url);
    expect((await migrate(database)).created).toEqual(['trigger calendly_sync_mirror on meetings']);
    expect(await sql`select from meetings`).toHaveLength(0);
    await sql.unsafe('drop trigger calendly_sync_mirror on meetings');
    expect((await migrationStatus(database)).drift).toEqual([
      { version: '001', object: 'trigger calendly_sync_mirror on meetings', problem: 'is missing' },
    ]);
    expect((await migrate(database)).repaired).toMatchObject([{ version: '001' }]);
    await rollback(database, { to: '0', backup: null });
    expect(await schemaOf(sql)).toEqual(before);
  });
});

test('--own-tables keeps everything in a schema of our own, whatever the application’s tables are', async () => {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  await sql.unsafe('alter table meetings alter id drop identity');
  const before = await schemaOf(sql);
  const database = connect(url, 'calendly');
  expect((await migrate(database, { ownTables: true })).created).toEqual(['table users', 'table meetings']);
  expect((await migrate(database)).applied).toEqual([]);
  expect((await migrationStatus(database)).drift).toEqual([]);
  expect((await schemaOf(sql)).filter((line) => !line.includes('calendly'))).toEqual(
    before.filter((line) => !line.includes('calendly')),
  );
  await rollback(database, { to: '0', backup: null });
  expect(await schemaOf(sql)).toEqual(before);
});

test('--own-tables works where several schemas have a users of their own', async () => {
  const { url, sql } = await testDatabase('empty');
  for (const schema of ['one', 'two']) await makeHost(sql, 'integer', schema);
  const before = await schemaOf(sql);
  const database = connect(url, 'calendly');
  await expect(migrate(database)).rejects.toMatchObject({
    message: 'Several schemas have a table users: one, two.',
  });
  expect((await migrate(database, { ownTables: true })).created).toEqual(['table users', 'table meetings']);
  expect(await migrationStatus(connect(url, 'calendly'))).toMatchObject({ pending: [], drift: [] });
  await rollback(connect(url, 'calendly'), { to: '0', backup: null });
  expect(await schemaOf(sql)).toEqual(before);
});

test('--own-tables after a migration onto the application’s tables is refused', async () => {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  const database = connect(url, 'calendly');
  await migrate(database);
  await expect(migrate(database, { ownTables: true })).rejects.toMatchObject({
    code: 'usage',
    message: 'The migrations in schema calendly are applied to the tables of the application.',
  });
});

test('rows of another integration are adopted by migrate, in every form, and counted', async () => {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  await sql.unsafe(`
    insert into meetings (user_id, meeting_source, external_id)
    select 1, 'calendly', case n % 2 when 0 then 'calendly_' else 'https://api.calendly.com/scheduled_events/' end || 'ABC' || n
    from generate_series(1, 30) as n;
    insert into meetings (user_id, meeting_source, external_id) values (1, 'calendly', 'ABC1'), (1, 'calendly', null)`);
  const rows = await sql`select * from meetings order by id`;
  const { adoption } = await migrate(connect(url));
  expect(adoption).toMatchObject({ adopted: 30, duplicates: 1, unrecognised: 1 });
  expect(adoption?.examples).toEqual([
    expect.stringMatching(/^ABC1 has two rows in meetings: \d+ is synced, \d+ is not$/),
  ]);
  expect(await sql`select from calendly_events where adopted and external_id like 'ABC%'`).toHaveLength(30);
  const after = await sql`select * from meetings order by id`;
  expect(after.map(({ id, external_id }) => [id, external_id])).toEqual(
    rows.map(({ id, external_id }) => [id, external_id]),
  );
});

test('a repair works after a dump without comments: the history knows what is ours', async () => {
  const { url, sql } = await testDatabase('empty');
  const database = connect(url);
  await migrate(database);
  await sql.unsafe(`
    delete from pg_description where description like 'calendly-sync%';
    drop view calendly_sync_health; drop table calendly_webhook_rejections; drop index calendly_leases_due_idx`);
  const { repaired, drift } = await migrate(database);
  expect(repaired.map(({ version }) => version)).toEqual(['002', '004', '022']);
  expect(drift).toEqual([]);
});

test('what a file cannot repair is reported as such, each time', async () => {
  const { url, sql } = await testDatabase('empty');
  const database = connect(url);
  await migrate(database);
  await sql.unsafe('create policy "all in" on calendly_webhook_events using (true)');
  for (let round = 0; round < 2; round++) {
    const { repaired, applied, drift } = await migrate(database);
    expect({ repaired, applied }).toEqual({ repaired: [], applied: [] });
    expect(drift).toMatchObject([{ version: '022', problem: 'policy all in lets somebody in' }]);
  }
});

describe('what the catalogs show is refused before anything is changed', () => {
  test('a users that is a view, that has no id, or whose id is not unique', async () => {
    const view =
      'drop view "My Meetings"; drop table meetings; alter table users rename to people; create view users as select * from people';
    expect(await refusal(view)).toContain('users is not a table, so that no foreign key can refer to it');
    const renamed = 'drop view "My Meetings"; drop table meetings; alter table users rename id to user_key';
    expect(await refusal(renamed)).toContain('users has no column id');
    const loose =
      'drop view "My Meetings"; drop table meetings; alter table users drop constraint users_pkey';
    expect(await refusal(loose)).toContain(
      'users has no unique key on id alone, so that no foreign key can refer to it',
    );
  });

  test("a table of our name that is somebody else's, and the way around it", async () => {
    const said = await refusal('create table meeting_invitees (id integer primary key)');
    expect(said).toContain('A table meeting_invitees exists already, and calendly-sync did not create it.');
    expect(said).toContain('--schema calendly');
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    await sql.unsafe('create table meeting_invitees (id integer primary key)');
    expect((await migrate(connect(url, 'calendly'))).pending).toEqual([]);
  });

  test('an unlogged table, and one whose key is partitioned, each with advice that Postgres takes', async () => {
    const unlogged = `drop view "My Meetings"; drop table meetings; drop table users;
      create unlogged table users (id integer primary key, email text)`;
    expect(await refusal(unlogged)).toContain('alter table public.users set logged');
    const said = await refusal(`
      drop view "My Meetings"; drop table meetings;
      create table meetings (id bigint, at date, primary key (id, at)) partition by range (at)`);
    expect(said).toContain('meetings has no unique key on id alone');
    expect(said).toContain(OWN_TABLES);
  });

  test('a server that is read-only', async () => {
    const { url, sql, name } = await testDatabase('empty');
    await sql.unsafe(`alter database ${name} set default_transaction_read_only = on`);
    await expect(migrate(connect(url))).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('in a read-only transaction (SQLSTATE 25006)'),
      hint: expect.stringContaining('connect to the primary'),
    });
  });

  test('everything at once, in one message', async () => {
    const said = await refusal(`
      drop view "My Meetings"; drop table meetings; create view meetings as select 1 as id;
      create table calendly_accounts (id integer);
      create table calendly_events (id integer)`);
    expect(said.match(/^- /gm)).toHaveLength(3);
  });
});
