/** Rows of another integration, in every form in which they name their event and their user. */
import type postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { adoptMeetings } from '../../src/database/tables/adopt-meetings.js';
import { testDatabase } from '../support/database.js';
import { createOrigin, makeHost } from '../support/hosts.js';
import { runAll } from './files.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

async function migrated(setup: (sql: postgres.Sql) => Promise<unknown>) {
  const { url, sql } = await testDatabase('empty');
  await setup(sql);
  await runAll(sql, 'up');
  const database = openServer(url);
  open.push(database);
  return { sql, database };
}

test.each([true, false])(
  'the rows of the application are adopted with their ids, and not twice (strict: %s)',
  async (strict) => {
    const { sql, database } = await migrated((own) => createOrigin(own, { strict }));
    const rows = () => sql`select id, userid, googleeventid, external_id, user_id from meetings order by id`;
    const before = await rows();
    expect(await adoptMeetings(database)).toEqual({ adopted: 150, duplicates: 0, unrecognised: 0 });
    expect(await adoptMeetings(database)).toEqual({ adopted: 0, duplicates: 0, unrecognised: 0 });
    expect(await rows()).toEqual(before);
    expect(
      await sql`
        select count(*)::integer as count from calendly_events e join meetings m on m.id = e.meeting_id
        where e.adopted and e.user_id = 1 and e.external_id = m.calendly_event_uuid`,
    ).toEqual([{ count: 150 }]);
  },
);

test('thousands of rows are adopted in batches', async () => {
  const { sql, database } = await migrated((own) => createOrigin(own, { strict: false }));
  await sql`
    insert into meetings (userid, googleeventid, title, meeting_source, calendly_event_uuid)
    select '2', 'calendly_' || n, 'x', 'calendly', n::text from generate_series(1, 2500) as n`;
  expect(await adoptMeetings(database)).toEqual({ adopted: 2650, duplicates: 0, unrecognised: 0 });
});

const ID = 'GBGBDCAADAEDCRZ2';
const URI = `https://api.calendly.com/scheduled_events/${ID}`;
test.each([
  ['the id', ID],
  ['the whole URI', URI],
  ['calendly_<id>', `calendly_${ID}`],
])('a row whose external_id is %s is recognised and keeps that value', async (_form, external_id) => {
  const { sql, database } = await migrated((own) => makeHost(own, 'uuid'));
  await sql`
    insert into meetings (user_id, title, meeting_source, external_id)
    select id, 'x', 'calendly', ${external_id} from users limit 1`;
  expect(await adoptMeetings(database)).toMatchObject({ adopted: 1, unrecognised: 0 });
  expect(
    await sql`
      select e.external_id as bare, m.external_id as kept
      from calendly_events e join meetings m on m.id = e.meeting_id`,
  ).toEqual([{ bare: ID, kept: external_id }]);
});

test.each([
  ['googleeventid', { googleeventid: `calendly_${ID}` }],
  ['calendly_event_uuid', { googleeventid: 'x', calendly_event_uuid: ID }],
  ['calendly_event_uri', { googleeventid: 'x', calendly_event_uri: URI }],
])('a row is recognised by its %s alone', async (_column, names) => {
  const { sql, database } = await migrated((own) => createOrigin(own, { strict: false }));
  await sql`delete from meetings`;
  await sql`insert into meetings ${sql({ userid: '2', title: 'x', meeting_source: 'calendly', ...names })}`;
  expect(await adoptMeetings(database)).toMatchObject({ adopted: 1 });
  expect(await sql`select user_id, external_id from calendly_events`).toEqual([
    { user_id: 2, external_id: ID },
  ]);
});

test('rows without an event or a user are counted, and a second row of one event stays as it is', async () => {
  const { sql, database } = await migrated((own) => createOrigin(own, { strict: false }));
  await sql`delete from meetings`;
  await sql`
    insert into meetings (userid, googleeventid, title, meeting_source) values
      ('1', 'calendly_a', 'one', 'calendly'), ('1', 'calendly_a', 'the same', 'calendly'),
      ('1', null, 'no event', 'calendly'), ('99', 'calendly_b', 'no such user', 'calendly'),
      ('nobody', 'calendly_c', 'no number', 'calendly'), ('1', 'a-google-id', 'of Google', 'google')`;
  expect(await adoptMeetings(database)).toEqual({ adopted: 1, duplicates: 1, unrecognised: 3 });
  expect(await sql`select count(*)::integer as count from meetings`).toEqual([{ count: 6 }]);
});
