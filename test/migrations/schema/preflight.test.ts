import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { testDatabase } from '../../support/database.js';
import { makeHost } from '../../support/hosts.js';
import { makeRole } from '../../support/roles.js';
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

describe('what would fail is told before anything is changed', () => {
  test('a required column of the host that a Calendly row has no value for', async () => {
    const said = await refusal(
      'alter table meetings add column "Cost Center" text not null default 1; alter table meetings alter "Cost Center" drop default',
    );
    expect(said).toContain('meetings.Cost Center (text) is NOT NULL and has no default');
    expect(said).toContain('alter table meetings alter column "Cost Center" set default …;');
  });

  test('an id that nobody makes', async () => {
    const said = await refusal('alter table meetings alter id drop identity');
    expect(said).toContain('meetings.id (integer) is NOT NULL and has no default');
  });

  test('columns of our names with types that the sync cannot write', async () => {
    const said = await refusal(`
      create type state as enum ('open', 'closed');
      drop view "My Meetings";
      alter table meetings drop column status, add column status state, add column is_deleted integer;
      alter table users add column last_calendly_sync text`);
    expect(said).toContain('meetings.status is state; calendly-sync needs text there.');
    expect(said).toContain('meetings.is_deleted is integer; calendly-sync needs boolean there.');
    expect(said).toContain(
      'users.last_calendly_sync is text; calendly-sync needs timestamp with time zone there.',
    );
  });

  test('a user_id of another type than the key', async () => {
    const said = await refusal(
      `drop view "My Meetings"; alter table meetings drop column user_id, add column user_id uuid`,
    );
    expect(said).toContain('meetings.user_id is uuid; calendly-sync needs integer like users.id there.');
  });

  test('rows that the unique index could not hold, each named', async () => {
    const said = await refusal(`
      insert into meetings (user_id, meeting_source, external_id) values (1, 'calendly', 'twice'), (1, 'calendly', 'twice'), (2, null, 'n'), (2, null, 'n')`);
    expect(said).toContain(
      'meetings has rows with the same user_id, meeting_source, external_id: (1, calendly, twice) 2 times.',
    );
  });

  test('a users that is a view, that has no id, or whose id is not unique', async () => {
    const view =
      'drop view "My Meetings"; drop table meetings; alter table users rename to people; create view users as select * from people';
    expect(await refusal(view)).toContain('users is a view; foreign keys need a table.');
    const renamed = 'drop view "My Meetings"; drop table meetings; alter table users rename id to user_key';
    expect(await refusal(renamed)).toContain('users has no column id.');
    const loose =
      'drop view "My Meetings"; drop table meetings; alter table users drop constraint users_pkey';
    expect(await refusal(loose)).toContain('users.id is not unique');
  });

  test("a table of our name that is somebody else's, and the way around it", async () => {
    const said = await refusal('create table meeting_invitees (id integer primary key)');
    expect(said).toContain('A table meeting_invitees is there already, and calendly-sync did not make it.');
    expect(said).toContain('--schema calendly');
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    await sql.unsafe('create table meeting_invitees (id integer primary key)');
    expect((await migrate(connect(url, 'calendly'))).pending).toEqual([]);
  });

  test('a webhook events table of somebody else that cannot be taken over', async () => {
    const said = await refusal(
      'create table calendly_webhook_events (id integer primary key, event_id text)',
    );
    expect(said).toContain('calendly_webhook_events.id is integer; calendly-sync needs uuid.');
    expect(said).toContain('calendly_webhook_events.payload is missing; calendly-sync needs jsonb.');
  });

  test('everything at once, in one message', async () => {
    const said = await refusal(`
      alter table meetings alter id drop identity;
      create table calendly_accounts (id integer);
      insert into meetings (id, user_id, meeting_source, external_id) values (1000, 1, 'calendly', 'x'), (1001, 1, 'calendly', 'x')`);
    expect(said.match(/^- /gm)).toHaveLength(3);
  });
});

describe('a role that is not the owner', () => {
  test('is told who owns what and what to run; when it is run, the migration goes through', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    const owner = await makeRole(url, 'owner');
    const role = await makeRole(url, 'app');
    await sql.unsafe(`
      alter table users owner to "${owner.name}"; alter table meetings owner to "${owner.name}";
      grant usage, create on schema public to "${role.name}"`);
    const before = await schemaOf(sql);
    const database = connect(role.url);
    const error = await migrate(database).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'preflight',
      message: expect.stringContaining(
        `${role.name} may not add columns to users (last_calendly_sync, calendly_initial_sync_complete, calendly_webhook_enabled): users belongs to ${owner.name} (SQLSTATE 42501).`,
      ),
      hint: expect.stringContaining(`grant "${owner.name}" to "${role.name}";`),
    });
    expect(error).toMatchObject({ message: expect.stringContaining('and indexes to meetings') });
    expect(await schemaOf(sql)).toEqual(before);

    await sql.unsafe(`grant "${owner.name}" to "${role.name}"`);
    expect((await migrate(database)).pending).toEqual([]);
  });

  test('needs the right to refer to tables that need no change', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    const role = await makeRole(url, 'app');
    await sql.unsafe(`grant usage, create on schema public to "${role.name}"`);
    await migrate(connect(url), { to: '1' });
    const other = connect(role.url);
    await expect(migrate(other, { to: '4' })).rejects.toMatchObject({
      message: expect.stringContaining('permission denied for table calendly_migrations (42501)'),
      hint: expect.stringContaining(
        `You are ${role.name}; calendly_migrations, meeting_invitees, meetings, users belong to postgres.`,
      ),
    });
    await sql.unsafe(`grant select on calendly_migrations to "${role.name}"`);
    await expect(migrate(other, { to: '4' })).rejects.toMatchObject({
      message: expect.stringContaining(`${role.name} may not refer to users with foreign keys`),
      hint: expect.stringContaining(`grant references on users to "${role.name}";`),
    });
  });

  test('and no superuser either can own it all', async () => {
    const { url, sql } = await testDatabase('empty');
    const role = await makeRole(url, 'plain');
    await sql.unsafe(`grant usage, create on schema public to "${role.name}"`);
    const database = connect(role.url);
    expect((await migrate(database)).pending).toEqual([]);
    await database.transaction((tx) => tx`insert into users (email) values ('me@example.com')`);
    expect(await database.transaction((tx) => tx`select email from calendly_sync_health`)).toEqual([
      { email: 'me@example.com' },
    ]);
  });

  test('without the right to create is told so, and which schema', async () => {
    const { url, sql } = await testDatabase('empty');
    await sql.unsafe('revoke create on schema public from public');
    const role = await makeRole(url, 'reader');
    await expect(migrate(connect(role.url))).rejects.toMatchObject({
      code: 'preflight',
      message: expect.stringContaining(`${role.name} may not create tables in schema public.`),
    });
    await expect(migrate(connect(role.url, 'own'))).rejects.toMatchObject({
      message: expect.stringContaining(`${role.name} may not create tables in schema own.`),
    });
  });
});
