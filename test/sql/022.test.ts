import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { createApiRoles, createOrigin } from '../support/hosts.js';
import { makeRole } from '../support/roles.js';
import { schemaOf } from '../support/schema.js';
import { runAll, runFile, WAYS } from './files.js';

const HOSTS = [
  { host: 'strict', options: { strict: true } },
  { host: 'loose', options: { strict: false } },
  { host: 'strict, with an older 022', options: { strict: true, older022: true } },
];
const HEALTH = `select user_id, email, active_calendly_meetings::integer as active, deleted_calendly_meetings::integer as deleted,
  webhook_events_received::integer as received from calendly_sync_health order by user_id`;

describe.each(HOSTS)('on the tables that the guide was written for ($host)', ({ options }) => {
  test.each(WAYS)('022 alone works by %s, twice, and counts exactly', async (way) => {
    const { sql } = await testDatabase('empty');
    await createApiRoles(sql);
    await createOrigin(sql, options);
    const before = await schemaOf(sql);
    await runFile(sql, '022', 'up', way);
    const once = await schemaOf(sql);
    await runFile(sql, '022', 'up', way);
    expect(await schemaOf(sql)).toEqual(once);
    const older = 'older022' in options ? 5 : 0;
    await sql`insert into calendly_webhook_events (event_id, event_type, payload, user_id, processed_at)
      select 'new ' || n, 'invitee.created', '{}', 1, now() from generate_series(1, 5) as n`;
    expect(await sql.unsafe(HEALTH)).toEqual([
      { user_id: 1, email: 'user@ex.com', active: 148, deleted: 2, received: 5 + older },
      { user_id: 2, email: 'other@ex.com', active: 0, deleted: 0, received: 0 },
    ]);
    await runFile(sql, '022', 'down', way);
    expect(await schemaOf(sql)).toEqual(before);
    if (older) expect(await sql`select from calendly_webhook_events`).toHaveLength(10);
  });

  test('022 before the other files and after them gives the same numbers, and all down files leave nothing', async () => {
    const { sql } = await testDatabase('empty');
    await createOrigin(sql, options);
    const before = await schemaOf(sql);
    await runFile(sql, '022', 'up');
    await runAll(sql, 'up');
    await runAll(sql, 'up');
    const [first] = await sql.unsafe(HEALTH);
    expect(first).toMatchObject({ active: 148, deleted: 2 });
    await runAll(sql, 'down');
    expect(await schemaOf(sql)).toEqual(before);
  });
});

test('an older table of events is closed and its rows are not verified, so nobody can have them applied', async () => {
  const { sql } = await testDatabase('empty');
  await createApiRoles(sql);
  await createOrigin(sql, { strict: true, older022: true });
  await runFile(sql, '022', 'up');
  expect(
    await sql`select count(*)::integer as count from calendly_webhook_events where not signature_verified and user_id = 1`,
  ).toEqual([{ count: 5 }]);
  for (const table of [
    'calendly_webhook_events',
    'calendly_webhook_events_before_022',
    'calendly_sync_health',
  ]) {
    for (const role of ['anon', 'authenticated']) {
      await expect(
        sql.begin(async (tx) => {
          await tx.unsafe(`set local role ${role}`);
          await tx.unsafe(`select * from ${table}`);
        }),
      ).rejects.toMatchObject({ code: '42501' });
    }
  }
});

test("the guide's verification and the application's own handler work after 022", async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  await runFile(sql, '022', 'up');
  const columns = await sql`
    select column_name, data_type, column_default from information_schema.columns
    where table_name = 'users' and column_name like '%calendly%' order by 1`;
  expect(columns).toEqual([
    { column_name: 'calendly_initial_sync_complete', data_type: 'boolean', column_default: 'false' },
    { column_name: 'calendly_webhook_enabled', data_type: 'boolean', column_default: 'false' },
    { column_name: 'last_calendly_sync', data_type: 'timestamp with time zone', column_default: null },
  ]);
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, user_id, processed_at)
    values ('1', 'invitee.created', '{}', 1, now()), ('2', 'invitee.created', '{}', 1, now()), ('3', 'invitee.canceled', '{}', 1, now())`;
  expect(
    await sql`select event_type, count(*)::integer as count from calendly_webhook_events group by event_type order by 1`,
  ).toEqual([
    { event_type: 'invitee.canceled', count: 1 },
    { event_type: 'invitee.created', count: 2 },
  ]);
});

test('clean_old_webhook_events() deletes what is older than 30 days, and keeps verified deliveries that wait', async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  await runFile(sql, '022', 'up');
  await sql`
    insert into calendly_webhook_events (event_id, event_type, payload, created_at, processed_at, signature_verified)
    values ('old', 't', '{}', now() - interval '31 days', now(), true),
      ('old, never verified', 't', '{}', now() - interval '31 days', null, false),
      ('old, waits', 't', '{}', now() - interval '31 days', null, true),
      ('recent', 't', '{}', now() - interval '29 days', now(), true)`;
  expect(await sql`select clean_old_webhook_events() as deleted`).toEqual([{ deleted: 2 }]);
  const left = await sql<{ event_id: string }[]>`select event_id from calendly_webhook_events order by 1`;
  expect(left.map(({ event_id }) => event_id)).toEqual(['old, waits', 'recent']);
});

test('a role that wrote webhook events before 022 goes on writing them, and can verify none', async () => {
  const { url, sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true, older022: true });
  const { name, url: roleUrl } = await makeRole(url, 'app');
  await sql.unsafe(`grant select, insert, update on calendly_webhook_events to "${name}"`);
  await runFile(sql, '022', 'up');
  await runFile(sql, '022', 'up');
  const app = postgres(roleUrl, { max: 1, onnotice: () => {} });
  const insert = (id: string, verified: boolean) => app`
    insert into calendly_webhook_events (event_id, event_type, payload, user_id, signature_verified)
    values (${id}, 'invitee.created', '{}', 1, ${verified})`;
  try {
    await app`insert into calendly_webhook_events (event_id, event_type, payload) values ('its own', 'x', '{}')`;
    expect(await app`select from calendly_webhook_events`).toHaveLength(6);
    await expect(insert('forged', true)).rejects.toMatchObject({ code: '42501' });
    await expect(app`update calendly_webhook_events set signature_verified = true`).rejects.toMatchObject({
      code: '42501',
    });
  } finally {
    await app.end();
  }
  await runFile(sql, '022', 'down');
  expect(await sql`select from calendly_webhook_events where event_id = 'its own'`).toHaveLength(1);
});

describe.each([
  { form: 'no user_id', id: 'uuid primary key default gen_random_uuid()', rest: 'event_type text not null' },
  { form: 'a number as its id', id: 'serial primary key', rest: 'event_type text' },
  { form: 'ids of the application', id: 'uuid primary key', rest: 'event_type varchar(99), user_id text' },
])('an older table of events with $form', ({ form, id, rest }) => {
  const create = `create table calendly_webhook_events (id ${id}, event_id text unique not null, ${rest},
    processed_at timestamptz not null default now(), payload jsonb, created_at timestamptz default now())`;
  const insert = (event: string) =>
    `insert into calendly_webhook_events (event_id, event_type${form.startsWith('ids') ? ', id' : ''})
      values ('${event}', 'x'${form.startsWith('ids') ? ', gen_random_uuid()' : ''})`;

  test.each(WAYS)(
    `with ${form}, rows without a payload survive 022, and so does what the handler writes after it, by %s`,
    async (way) => {
      const { sql } = await testDatabase('empty');
      await createOrigin(sql, { strict: true });
      await sql.unsafe(`${create}; ${insert('before')}`);
      const before = await schemaOf(sql);
      const ids = () => sql`select event_id from calendly_webhook_events order by event_id`;
      await runFile(sql, '022', 'up', way);
      expect(await ids()).toEqual([{ event_id: 'before' }]);
      await sql.unsafe(insert('later'));
      await runFile(sql, '022', 'down', way);
      expect(await schemaOf(sql)).toEqual(before);
      expect(await ids()).toEqual([{ event_id: 'before' }, { event_id: 'later' }]);
    },
  );
});

test('a row that the older table of events would refuse does not stop the rollback', async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true, older022: true });
  await runFile(sql, '022', 'up');
  await sql`insert into calendly_webhook_events (event_id, event_type) values ('no payload', 'x')`;
  await sql`insert into calendly_webhook_events (event_id, event_type, payload) values ('complete', 'x', '{}')`;
  await runFile(sql, '022', 'down');
  expect(await sql`select event_id from calendly_webhook_events where event_type = 'x'`).toEqual([
    { event_id: 'complete' },
  ]);
});

test.each(['users', 'meetings'])('without the table %s, 022 names it and the next step', async (table) => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: false });
  await sql.unsafe(`drop table ${table}`);
  await expect(runFile(sql, '022', 'up')).rejects.toMatchObject({
    message: `There is no table ${table}.`,
    hint: expect.stringContaining('run 001_calendly_core.up.sql first'),
  });
});

test('022 by psql while a reader holds users changes nothing at all', async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  const before = await schemaOf(sql);
  const reader = await sql.reserve();
  await reader.unsafe('begin; select * from users');
  await runFile(sql, '022', 'up', 'psql');
  await reader`rollback`;
  reader.release();
  expect(await schemaOf(sql)).toEqual(before);
});

test("the guide's rollback works by hand in the order view, function, table, columns", async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  const before = await schemaOf(sql);
  await runFile(sql, '022', 'up');
  await sql.unsafe(`
    drop view if exists calendly_sync_health;
    drop function if exists clean_old_webhook_events();
    drop table if exists calendly_webhook_events;
    alter table users drop column if exists last_calendly_sync, drop column if exists calendly_initial_sync_complete,
      drop column if exists calendly_webhook_enabled;
    alter table meetings drop column if exists synced_via_webhook;`);
  expect(await schemaOf(sql)).toEqual(before);
});

test('the view shows nothing to a role without rights on the tables below it, on every version', async () => {
  const { sql } = await testDatabase('empty');
  await createApiRoles(sql);
  await runAll(sql, 'up');
  await sql`insert into users (email) values ('ada@example.com')`;
  await expect(
    sql.begin(async (tx) => {
      await tx.unsafe('grant all on all tables in schema public to anon; set local role anon');
      const rows = await tx`select * from calendly_sync_health`;
      throw Object.assign(new Error('undo'), { rows });
    }),
  ).rejects.toMatchObject({ message: 'undo', rows: [] });
  expect(await sql`select email from calendly_sync_health`).toEqual([{ email: 'ada@example.com' }]);
});
