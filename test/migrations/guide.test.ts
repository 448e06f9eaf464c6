/** The migration guide from its first to its last step, on the tables of the application that it was written for. */
import { afterAll, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { runFile } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { createApiRoles, createOrigin } from '../support/hosts.js';
import { testSandbox } from '../support/sandbox.js';
import { schemaOf } from '../support/schema.js';
import { syncing } from '../support/sync.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

/** The application with 150 meetings of a sandbox's account that has 160, and 20 of other sources. */
async function application(options: Parameters<typeof createOrigin>[1]) {
  const { url, sql } = await testDatabase('empty');
  await createApiRoles(sql);
  await createOrigin(sql, options);
  const sandbox = await testSandbox({ events: 160, seed: 3, rateLimit: 5_000 });
  const email = sandbox.hosts[0]?.email ?? '';
  await sql`update users set email = ${email} where id = 1`;
  await sql`delete from meetings where meeting_source = 'calendly'`;
  const events = sandbox.control
    .state()
    .map(({ event }) => event)
    .filter(({ event_memberships: hosts }) => hosts.some(({ user }) => user === sandbox.hosts[0]?.uri));
  const write = (event: (typeof events)[number]) => {
    const id = event.uri.split('/').at(-1) ?? '';
    return sql`
      insert into meetings (userid, googleeventid, title, starttime, endtime, meeting_source, is_deleted,
        calendly_event_uri, calendly_event_uuid)
      values ('1', ${`calendly_${id}`}, 'As the application calls it', ${event.start_time}, ${event.end_time},
        'calendly', ${event.status === 'canceled'}, ${event.uri}, ${id})`;
  };
  for (const event of events.slice(0, 150)) await write(event);
  const database = openServer(url);
  open.push(database);
  return { url, sql, sandbox, database, events, write, sync: syncing(sandbox, url) };
}

const NO_OPERATION = { new: 0, updated: 0, deleted: 0, restored: 0 };

test.each([
  ['strict', { strict: true }],
  ['loose', { strict: false }],
  ['strict, after the older 022', { strict: true, older022: true }],
])('the guide works step by step, and rollback --to 0 restores everything (%s)', async (_name, options) => {
  const { sql, sandbox, database, events, write, sync } = await application(options);
  const schema = await schemaOf(sql);
  const others = () => sql`
    select id, userid, googleeventid, title, starttime, meeting_source from meetings
    where meeting_source <> 'calendly' order by id`;
  const ownBefore = await others();

  // Step 1: 022 alone, in a SQL editor, and the queries that verify it.
  await runFile(sql, '022', 'up');
  expect(
    await sql`select column_name from information_schema.columns
      where table_schema = 'public' and table_name = 'users' and column_name like '%calendly%' order by 1`,
  ).toEqual([
    { column_name: 'calendly_initial_sync_complete' },
    { column_name: 'calendly_webhook_enabled' },
    { column_name: 'last_calendly_sync' },
  ]);
  await sql`select * from calendly_webhook_events limit 1`;
  const counts = () => sql`
    select active_calendly_meetings::integer + deleted_calendly_meetings::integer as all
    from calendly_sync_health where user_id = 1`;
  expect(await counts()).toEqual([{ all: 150 }]);

  // Step 2: the rest, and two syncs.
  const { adoption } = await migrate(database);
  expect(adoption).toMatchObject({ adopted: 150, duplicates: 0, unrecognised: 0 });
  expect((await sync()).user).toMatchObject({ status: 'complete', mode: 'full' });
  expect((await sync()).user).toMatchObject({ status: 'complete', mode: 'incremental', ...NO_OPERATION });
  const each = () =>
    sql`select calendly_event_uri as uri from meetings where meeting_source = 'calendly' order by 1`;
  const uris = events.map(({ uri }) => ({ uri })).sort((a, b) => (a.uri < b.uri ? -1 : 1));
  expect([...(await each())]).toEqual(uris);
  expect(await counts()).toEqual([{ all: events.length }]);

  // The application's own queries see every meeting, and its own writes go on.
  expect(
    await sql`select from meetings where userid = '1' and starttime > '2000-01-01' and calendly_event_uuid is not null`,
  ).toHaveLength(events.length);
  const { event } = sandbox.control.book({ host: 0, start: '+3d' });
  await write(event);
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, user_id)
    values ('its own', 'invitee.created', '{}', 1)`;
  await sql`update users set calendly_initial_sync_complete = false where id = 1`;
  expect((await sync()).user).toMatchObject({ status: 'complete', mode: 'full', new: 0 });
  expect(await each()).toHaveLength(events.length + 1);

  // Back to the start, and forward again: nothing is lost or doubled.
  await rollback(database, { to: '0', backup: null });
  expect(await others()).toEqual(ownBefore);
  expect(await each()).toHaveLength(events.length + 1);
  await runFile(sql, '022', 'down');
  expect(await schemaOf(sql)).toEqual(schema);
  expect((await migrate(database)).adoption).toMatchObject({ adopted: events.length + 1, unrecognised: 0 });
  expect((await sync()).user).toMatchObject({ status: 'complete', new: 0 });
  expect(await each()).toHaveLength(events.length + 1);
});
