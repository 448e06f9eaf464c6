/** A `meetings` that another integration has filled, and may go on filling: each meeting stays one row. */
import type postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { adoptMeetings } from '../../src/database/tables/adopt-meetings.js';
import { migrate } from '../../src/migrations/migrate.js';
import type { EventResource } from '../../src/sandbox/resources.js';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { receiving } from '../support/webhooks.js';

/** An application: its `meetings`, and how it stores a meeting. */
interface Application {
  meetings: string;
  row(event: EventResource, id: string): Record<string, string>;
}

const plain =
  'user_id integer references users, title text, meeting_source text, external_id text, is_deleted boolean';
const times = ({ start_time, end_time }: EventResource) => ({ start_time, end_time });

const APPLICATIONS: Record<string, Application> = {
  'external_id is the whole URI': {
    meetings: `${plain}, start_time timestamptz, end_time timestamptz`,
    row: (event) => ({ ...times(event), external_id: event.uri, meeting_source: 'calendly' }),
  },
  'external_id is calendly_<id>': {
    meetings: `${plain}, start_time timestamptz, end_time timestamptz`,
    row: (event, id) => ({ ...times(event), external_id: `calendly_${id}`, meeting_source: 'calendly' }),
  },
  'external_id is calendly_<id> beside starttime and endtime': {
    meetings: `${plain}, starttime timestamptz not null, endtime timestamptz`,
    row: ({ start_time, end_time }, id) => ({
      external_id: `calendly_${id}`,
      meeting_source: 'calendly',
      starttime: start_time,
      endtime: end_time,
    }),
  },
  'userid is text and googleeventid is calendly_<id>': {
    meetings: `userid text not null, googleeventid text, title text not null, starttime timestamptz not null,
      endtime timestamptz, meeting_source text default 'google', is_deleted boolean default false, sync_status text,
      calendly_event_uri text, calendly_event_uuid text, unique (userid, googleeventid)`,
    row: ({ uri, start_time, end_time }, id) => ({
      googleeventid: `calendly_${id}`,
      title: 'A meeting',
      meeting_source: 'calendly',
      starttime: start_time,
      endtime: end_time,
      calendly_event_uri: uri,
      calendly_event_uuid: id,
    }),
  },
  'only calendly_event_uuid is set': {
    meetings: `${plain}, calendly_event_uuid text unique`,
    row: (_event, id) => ({ calendly_event_uuid: id }),
  },
};

async function application({ meetings, row }: Application, events = 30) {
  const { url, sql } = await testDatabase('empty');
  await sql.unsafe(`
    create table users (id serial primary key, email text);
    create table meetings (id serial primary key, ${meetings});`);
  const sandbox = await testSandbox({ events, seed: 7, rateLimit: 5_000 });
  const host = sandbox.hosts[0];
  await sql`insert into users (email) values (${host?.email ?? ''})`;
  const owner = meetings.includes('userid') ? { userid: '1' } : { user_id: '1' };
  const listed = () => {
    const of = ({ event }: { event: EventResource }) =>
      event.event_memberships.some(({ user }) => user === host?.uri);
    return sandbox.control
      .state()
      .filter(of)
      .map(({ event }) => event);
  };
  const insert = (event: EventResource, db: postgres.ISql = sql) =>
    db`insert into meetings ${db({ ...owner, ...row(event, event.uri.split('/').at(-1) ?? '') })}`;
  const database = openServer(url);
  return { url, sql, sandbox, database, listed, insert, sync: syncing(sandbox, url) };
}

/** Each meeting is one row, and only what Calendly reports as canceled is deleted. */
async function expectEachOnce(sql: postgres.Sql, events: EventResource[]): Promise<void> {
  const rows =
    await sql`select calendly_uri, is_deleted is true as deleted, start_time from meetings order by calendly_uri`;
  const expected = events.map(({ uri, status, start_time }) => ({
    calendly_uri: uri,
    deleted: status === 'canceled',
    start_time: new Date(start_time),
  }));
  expect([...rows]).toEqual(expected.sort((a, b) => (a.calendly_uri < b.calendly_uri ? -1 : 1)));
}

describe.each(Object.entries(APPLICATIONS))('%s', (name, form) => {
  test(`rows of another integration keep their ids and are synced (${name})`, async () => {
    const { sql, database, listed, insert, sync } = await application(form);
    for (const event of listed()) await insert(event);
    const known = Object.keys(form.row(listed()[0] as EventResource, 'id'))
      .concat('id')
      .filter((column) => !/^(title|.*time|is_deleted)$/.test(column));
    const kept = async () => [...(await sql`select ${sql(known)} from meetings order by id`)];
    const before = await kept();
    const { adoption } = await migrate(database);
    expect(adoption).toEqual({ adopted: before.length, duplicates: 0, unrecognised: 0, examples: [] });
    expect(await adoptMeetings(database)).toEqual({ adopted: 0, duplicates: 0, unrecognised: 0 });
    await database.close();
    const first = await sync();
    expect(first.user).toMatchObject({ status: 'complete', new: 0, recorded_canceled: 0, restored: 0 });
    await expectEachOnce(sql, listed());
    expect(await kept()).toEqual(before);
    expect((await sync()).user).toMatchObject({
      status: 'complete',
      new: 0,
      updated: 0,
      deleted: 0,
      restored: 0,
    });
  });

  test(`a meeting that the application inserts between two syncs stays one row (${name})`, async () => {
    const { sql, database, sandbox, listed, insert, sync } = await application(form, 5);
    await migrate(database);
    await database.close();
    await sync();
    const { event } = sandbox.control.book({ start: '+3d' });
    await insert(event);
    expect((await sync()).user).toMatchObject({ status: 'complete', new: 0, updated: 1, deleted: 0 });
    await expectEachOnce(sql, listed());
    expect((await sync()).user).toMatchObject({ new: 0, updated: 0, deleted: 0, requests: 1 });
  });

  test(`a meeting that the application inserts while a sync inserts it stays one row (${name})`, async () => {
    const { sql, database, sandbox, listed, insert, sync } = await application(form, 5);
    await migrate(database);
    await database.close();
    await sync();
    const { event } = sandbox.control.book({ start: '+3d' });
    // Not committed when the sync looks for rows of the application; its unique key, if any, makes the sync wait.
    const during = sql.begin(async (app) => {
      await insert(event, app);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    });
    expect((await sync()).user).toMatchObject({ status: 'complete', deleted: 0 });
    await during;
    await sql`update calendly_accounts set last_full_listing_at = null`;
    expect((await sync()).user).toMatchObject({ status: 'complete', new: 0, deleted: 0 });
    await expectEachOnce(sql, listed());
    expect((await sync()).user).toMatchObject({ new: 0, updated: 0, deleted: 0, requests: 1 });
  });
});

test('a row of another integration that no listing has contained is never deleted', async () => {
  const form = APPLICATIONS['external_id is calendly_<id>'] as Application;
  const { sql, database, listed, insert, sync } = await application(form, 5);
  const event = listed()[0] as EventResource;
  await insert({ ...event, uri: 'https://api.calendly.com/scheduled_events/OF_ANOTHER_ACCOUNT' });
  const { adoption } = await migrate(database);
  expect(adoption).toEqual({ adopted: 1, duplicates: 0, unrecognised: 0, examples: [] });
  await database.close();
  expect((await sync()).user).toMatchObject({ status: 'complete', deleted: 0 });
  expect(await sql`select from meetings where is_deleted and deleted_reason <> 'canceled'`).toHaveLength(0);
});

test.each([
  ['text', 'BEGIN:VCALENDAR'],
  ['json', String.raw`{"a": "\u0000"}`],
])('what the application keeps in a raw of type %s neither stops a sync nor a report', async (type, raw) => {
  const form = APPLICATIONS['external_id is the whole URI'] as Application;
  const { sql, database, listed, insert, sync } = await application(form, 5);
  const uri = 'https://api.calendly.com/scheduled_events/OF_ANOTHER_ACCOUNT';
  for (const event of [...listed(), { ...(listed()[0] as EventResource), uri }]) await insert(event);
  await sql.unsafe(`alter table meetings add column raw ${type}; update meetings set raw = '${raw}'`);
  await migrate(database);
  await database.close();
  expect((await sync()).user).toMatchObject({ status: 'complete', new: 0, exceptions: [] });
  const hosts = await sql`select from meeting_hosts where external_id <> 'OF_ANOTHER_ACCOUNT'`;
  expect(hosts.length).toBeGreaterThanOrEqual(listed().length);
  expect(await sql`select raw::text as raw from meetings where external_id like '%ANOTHER%'`).toEqual([
    { raw },
  ]);
});

test('rows without an id or a user, and second rows of one meeting, are counted', async () => {
  const form = APPLICATIONS['external_id is calendly_<id>'] as Application;
  const { sql, database, insert, listed } = await application(form, 2);
  await sql`insert into meetings (user_id, meeting_source) values (1, 'calendly')`;
  await sql`insert into meetings (meeting_source, external_id) values ('calendly', 'X')`;
  await sql`insert into meetings (user_id, meeting_source, external_id) values (1, 'google', 'calendly_Y')`;
  const event = listed()[0] as EventResource;
  await insert(event);
  await insert(event);
  const { adoption } = await migrate(database);
  expect(adoption).toMatchObject({ adopted: 1, duplicates: 1, unrecognised: 2 });
  await database.close();
});

test('a delivery whose row meets a unique key of the application updates the row of the application', async () => {
  const form = APPLICATIONS['userid is text and googleeventid is calendly_<id>'] as Application;
  const { url, sql, database, sandbox, listed, insert, sync } = await application(form, 0);
  await migrate(database);
  await database.close();
  await sync();
  const { event, invitees } = sandbox.control.book({ start: '+3d' });
  await insert(event);
  const { post } = receiving(url);
  const answer = await post({
    event: 'invitee.created',
    created_at: event.created_at,
    payload: { ...invitees[0], scheduled_event: event },
  });
  expect(answer.status).toBe(200);
  expect(await sql`select from calendly_webhook_events where processed_at is null`).toHaveLength(0);
  await expectEachOnce(sql, listed());
});

/** A meeting that a sync has stored, and that the application inserts after it by its URI only. */
async function storedTwice(references: string) {
  const form = APPLICATIONS['userid is text and googleeventid is calendly_<id>'] as Application;
  const app = await application(
    {
      ...form,
      row: ({ uri, start_time }) => ({
        title: 'A meeting',
        meeting_source: 'calendly',
        starttime: start_time,
        calendly_event_uri: uri,
      }),
    },
    3,
  );
  const { sql, database, sandbox, insert, sync } = app;
  await sql.unsafe(`
    create unique index on meetings (calendly_event_uuid) where calendly_event_uuid is not null; ${references}`);
  await migrate(database);
  const { event } = sandbox.control.book({ start: '+3d' });
  await sync();
  const [ours] = await sql<{ id: number }[]>`select id from meetings where calendly_uri = ${event.uri}`;
  const id = ours?.id ?? 0;
  const insertTheirs = async () => {
    await insert(event);
    const [theirs] = await sql<{ id: number }[]>`select max(id) as id from meetings`;
    return theirs?.id ?? 0;
  };
  const rows = () =>
    sql<{ id: number; is_deleted: boolean }[]>`
      select id, is_deleted is true as is_deleted from meetings where ${event.uri} in (calendly_uri, calendly_event_uri)
      order by id`;
  return { ...app, event, id, insertTheirs, rows };
}

test('a row of ours gives way to the row of the application, although a unique key lets only one hold the event', async () => {
  const { sql, database, sandbox, event, insertTheirs, rows, sync } = await storedTwice('');
  const theirs = await insertTheirs();
  expect(await adoptMeetings(database)).toMatchObject({ adopted: 1, duplicates: 0 });
  await database.close();
  expect([...(await rows())]).toEqual([{ id: theirs, is_deleted: false }]);
  expect(await sql`select from meeting_invitees where meeting_id = ${theirs}`).not.toHaveLength(0);
  sandbox.control.cancel({ event: event.uri.split('/').at(-1) ?? '' });
  await sync();
  expect([...(await rows())]).toEqual([{ id: theirs, is_deleted: true }]);
});

test('a row of ours that the application refers to is never deleted, and the second row is reported', async () => {
  const { sql, database, sandbox, event, id, insertTheirs, rows, sync } = await storedTwice(
    'create table ai_notes (id serial, meeting_id integer references meetings on delete cascade)',
  );
  await sql`insert into ai_notes (meeting_id) values (${id})`;
  const theirs = await insertTheirs();
  const reported: string[] = [];
  const onDuplicate = (text: string) => reported.push(text);
  expect(await adoptMeetings(database, { onDuplicate })).toMatchObject({ adopted: 0, duplicates: 1 });
  await database.close();
  const text = `${event.uri.split('/').at(-1)} has two rows in meetings: ${id} is synced, ${theirs} is not, because ai_notes refers to ${id}`;
  expect(reported).toEqual([text]);
  sandbox.control.cancel({ event: event.uri.split('/').at(-1) ?? '' });
  await sql`update calendly_accounts set last_full_listing_at = null`;
  const { events } = await sync();
  expect(events).toContainEqual(expect.objectContaining({ type: 'warning', text }));
  expect([...(await rows())]).toEqual([
    { id, is_deleted: true },
    { id: theirs, is_deleted: false },
  ]);
  expect(await sql`select from ai_notes where meeting_id = ${id}`).toHaveLength(1);
});
