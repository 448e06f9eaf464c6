import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { EXPECTED } from '../../src/migrations/schema/expected.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';

const ROLES = ['anon', 'authenticated'] as const;
const { url, sql } = await testDatabase('empty');
const database = openServer(url);

// Roles belong to the whole server, and other files may run at the same time: made once, and left to the server's end.
beforeAll(async () => {
  for (const role of ROLES) {
    await sql.unsafe(
      `do $$ begin create role ${role} nologin; exception when duplicate_object or unique_violation then null; end $$`,
    );
  }
  // As hosted Postgres has it: everything in public is granted to the roles of the API from the start.
  await sql.unsafe(`
    grant usage on schema public to anon, authenticated;
    alter default privileges in schema public grant all on tables to anon, authenticated;
    alter default privileges in schema public grant all on sequences to anon, authenticated;
    alter default privileges in schema public grant all on functions to anon, authenticated;`);
  await migrate(database);
  await sql`insert into users (email) values ('ada@example.com')`;
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, created_at) values ('e', 't', '{}', '2020-01-01')`;
});
afterAll(() => database.close());

function as<T>(role: string, work: (sql: postgres.TransactionSql) => Promise<T>): Promise<unknown> {
  return sql.begin(async (tx) => {
    await tx.unsafe(`set local role ${role}`);
    return work(tx);
  });
}

const OWN_TABLES = Object.values(EXPECTED).flatMap((objects) =>
  Object.keys(objects).flatMap((key) => /^table (.*)$/.exec(key)?.[1] ?? []),
);
const TABLES = ['users', 'meetings', 'calendly_migrations', ...OWN_TABLES];

describe.each(ROLES)('the role %s', (role) => {
  test.each(TABLES)(`${role} can neither read nor write %s`, async (table) => {
    for (const statement of [
      `select * from ${table}`,
      `select count(*) from ${table}`,
      `insert into ${table} default values`,
      `delete from ${table}`,
      `truncate ${table}`,
      `create trigger t before insert on ${table} for each row execute function suppress_redundant_updates_trigger()`,
    ]) {
      await expect(
        as(role, (tx) => tx.unsafe(statement)),
        statement,
      ).rejects.toMatchObject({ code: '42501' });
    }
  });

  test(`${role} sees nothing through the view, may not run the function, and may not take numbers from our sequences`, async () => {
    await expect(as(role, (tx) => tx`select * from calendly_sync_health`)).rejects.toMatchObject({
      code: '42501',
    });
    await expect(as(role, (tx) => tx`select clean_old_webhook_events()`)).rejects.toMatchObject({
      code: '42501',
    });
    await expect(as(role, (tx) => tx`select nextval('meetings_id_seq')`)).rejects.toMatchObject({
      code: '42501',
    });
    expect(await sql`select event_id from calendly_webhook_events`).toHaveLength(1);
  });

  test(`${role} gets no row even when somebody grants it everything again`, async () => {
    await expect(
      sql.begin(async (tx) => {
        await tx.unsafe(`grant all on all tables in schema public to ${role}; set local role ${role}`);
        const rows =
          await tx`select 'users' as t from users union all select 'health' from calendly_sync_health union all select 'events' from calendly_webhook_events`;
        const refused = await tx
          .savepoint((inner) => inner`insert into users (email) values ('x')`)
          .catch((thrown: unknown) => thrown);
        throw Object.assign(new Error('undo'), { rows, refused });
      }),
    ).rejects.toMatchObject({ rows: [], refused: { code: '42501' } });
  });
});

test('the owner of our tables reads and writes them as ever', async () => {
  expect(await sql`select email from calendly_sync_health`).toEqual([{ email: 'ada@example.com' }]);
  expect(await sql`select clean_old_webhook_events() as gone`).toEqual([{ gone: 1 }]);
});

describe('status says when somebody', () => {
  const cases: { did: string; change: string; undo: string; drift: object[] }[] = [
    {
      did: 'granted a table to a role of the API',
      change: 'grant select on calendly_accounts to anon',
      undo: 'revoke select on calendly_accounts from anon',
      drift: [{ version: '002', object: 'table calendly_accounts', problem: 'is open to anon' }],
    },
    {
      did: 'granted one column of it to everybody',
      change: 'grant update (email) on users to public',
      undo: 'revoke update (email) on users from public',
      drift: [{ version: '001', object: 'table users', problem: 'is open to anon, authenticated' }],
    },
    {
      did: 'switched row-level security off',
      change: 'alter table meeting_invitees disable row level security',
      undo: 'alter table meeting_invitees enable row level security',
      drift: [{ version: '001', object: 'table meeting_invitees', problem: 'row-level security is off' }],
    },
    {
      did: 'made a policy that lets all in',
      change: 'create policy "all in" on calendly_webhook_events using (true)',
      undo: 'drop policy "all in" on calendly_webhook_events',
      drift: [
        {
          version: '022',
          object: 'table calendly_webhook_events',
          problem: 'policy all in lets somebody in',
        },
      ],
    },
    {
      did: 'dropped a column',
      change: 'alter table calendly_webhook_events rename attempts to tries',
      undo: 'alter table calendly_webhook_events rename tries to attempts',
      drift: [{ version: '022', object: 'column calendly_webhook_events.attempts', problem: 'is missing' }],
    },
    {
      did: 'changed the type of a column',
      change: 'alter table calendly_sync_runs alter requests type bigint',
      undo: 'alter table calendly_sync_runs alter requests type integer',
      drift: [
        {
          version: '002',
          object: 'column calendly_sync_runs.requests',
          problem: 'is bigint, the file creates integer',
        },
      ],
    },
    {
      did: 'dropped an index',
      change: 'drop index calendly_leases_due_idx',
      undo: 'create index calendly_leases_due_idx on calendly_leases (due_at)',
      drift: [{ version: '002', object: 'index calendly_leases_due_idx', problem: 'is missing' }],
    },
    {
      did: 'let everybody run the function',
      change: 'grant execute on function clean_old_webhook_events() to public',
      undo: 'revoke execute on function clean_old_webhook_events() from public',
      drift: [
        {
          version: '022',
          object: 'function clean_old_webhook_events()',
          problem: 'may be run by anon, authenticated, public',
        },
      ],
    },
  ];
  test.each(cases)(
    'status reports that somebody $did, and nothing after it is undone',
    async ({ change, undo, drift }) => {
      expect((await migrationStatus(database)).drift).toEqual([]);
      await sql.unsafe(change);
      expect((await migrationStatus(database)).drift).toEqual(drift);
      await sql.unsafe(undo);
      expect((await migrationStatus(database)).drift).toEqual([]);
    },
  );

  test('status reports a view or a function that was replaced, and migrate repairs it', async () => {
    await sql.unsafe(`
      create or replace view calendly_sync_health as
        select id as user_id, email, last_calendly_sync, calendly_initial_sync_complete, calendly_webhook_enabled, 0::bigint as active_calendly_meetings,
          0::bigint as deleted_calendly_meetings, 0::bigint as webhook_synced_meetings, now() as last_meeting_sync, 0::bigint as webhook_events_received from users;
      create or replace function clean_old_webhook_events() returns integer language sql as 'select 0'`);
    const { drift } = await migrationStatus(database);
    expect(drift.map(({ object, problem }) => `${object} ${problem}`)).toEqual(
      expect.arrayContaining([
        'view calendly_sync_health was replaced by another',
        'function clean_old_webhook_events() was replaced by another',
      ]),
    );
    expect((await migrate(database)).repaired).toMatchObject([{ version: '022' }]);
    expect((await migrationStatus(database)).drift).toEqual([]);
  });

  test('status reports a view or a table that was dropped, and migrate creates them again', async () => {
    await sql.unsafe('drop view calendly_sync_health; drop table calendly_webhook_rejections');
    expect((await migrationStatus(database)).drift).toEqual([
      { version: '004', object: 'table calendly_webhook_rejections', problem: 'is missing' },
      { version: '022', object: 'view calendly_sync_health', problem: 'is missing' },
    ]);
    const { repaired, applied } = await migrate(database);
    expect(repaired.map(({ version }) => version)).toEqual(['004', '022']);
    expect(applied).toEqual([]);
    expect((await migrationStatus(database)).drift).toEqual([]);
  });
});

test('tables of others keep the rules of their owner', async () => {
  const other = await testDatabase('empty');
  await makeHost(other.sql, 'integer');
  await other.sql.unsafe('grant select on users, meetings to public');
  const second = openServer(other.url);
  await migrate(second);
  const rows = await other.sql`
    select relname, relrowsecurity, has_table_privilege('public', oid, 'select') as open from pg_class
    where oid in ('users'::regclass, 'meetings'::regclass) order by 1`;
  expect(rows).toEqual([
    { relname: 'meetings', relrowsecurity: false, open: true },
    { relname: 'users', relrowsecurity: false, open: true },
  ]);
  expect((await migrationStatus(second)).drift).toEqual([]);
  await rollback(second, { to: '0', backup: null });
  await second.close();
});
