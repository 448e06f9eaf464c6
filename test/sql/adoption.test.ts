import type postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { type Adopted, adoptMeetings } from '../../src/database/tables/adoption.js';
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
  const adoptAll = async (limit?: number) => {
    const total = { adopted: 0, duplicates: 0, unrecognised: 0, batches: 0 };
    let after: string | null = null;
    do {
      const batch: Adopted = await database.transaction((tx) => adoptMeetings(tx, { after, limit }));
      total.adopted += batch.adopted;
      total.duplicates += batch.duplicates;
      total.unrecognised += batch.unrecognised;
      total.batches++;
      after = batch.next;
    } while (after !== null);
    return total;
  };
  return { sql, database, adoptAll };
}

test.each([true, false])(
  'the rows of the application are adopted with their ids, and not twice (strict: %s)',
  async (strict) => {
    const { sql, adoptAll } = await migrated((own) => createOrigin(own, { strict }));
    const rows = await sql`select id, userid, googleeventid, external_id, user_id from meetings order by id`;
    expect(await adoptAll(40)).toEqual({ adopted: 150, duplicates: 0, unrecognised: 0, batches: 4 });
    expect(await adoptAll()).toEqual({ adopted: 0, duplicates: 0, unrecognised: 0, batches: 1 });
    expect(
      await sql`select id, userid, googleeventid, external_id, user_id from meetings order by id`,
    ).toEqual(rows);
    expect(
      await sql`select count(*)::integer as count from calendly_events e join meetings m on m.id = e.meeting_id
      where e.adopted and e.user_id = 1 and e.external_id = m.calendly_event_uuid`,
    ).toEqual([{ count: 150 }]);
  },
);

const ID = 'GBGBDCAADAEDCRZ2';
test.each([
  ['external_id is the id', { external_id: ID }],
  ['external_id is the whole URI', { external_id: `https://api.calendly.com/scheduled_events/${ID}` }],
  ['external_id is calendly_<id>', { external_id: `calendly_${ID}` }],
])('a row is recognised where %s, and keeps that value', async (_form, { external_id }) => {
  const { sql, adoptAll } = await migrated((own) => makeHost(own, 'uuid'));
  await sql`insert into meetings (user_id, title, meeting_source, external_id)
    select id, 'x', 'calendly', ${external_id} from users limit 1`;
  expect(await adoptAll()).toMatchObject({ adopted: 1, unrecognised: 0 });
  expect(
    await sql`select e.external_id as bare, m.external_id as kept from calendly_events e join meetings m on m.id = e.meeting_id`,
  ).toEqual([{ bare: ID, kept: external_id }]);
});

test.each([
  ['googleeventid', { googleeventid: `calendly_${ID}` }],
  ['calendly_event_uuid', { googleeventid: 'x', calendly_event_uuid: ID }],
  [
    'calendly_event_uri',
    { googleeventid: 'x', calendly_event_uri: `https://api.calendly.com/scheduled_events/${ID}` },
  ],
])('a row is recognised by its %s alone', async (_column, names) => {
  const { sql, adoptAll } = await migrated((own) => createOrigin(own, { strict: false }));
  await sql`delete from meetings`;
  await sql`insert into meetings ${sql({ userid: '2', title: 'x', meeting_source: 'calendly', ...names })}`;
  expect(await adoptAll()).toMatchObject({ adopted: 1 });
  expect(await sql`select user_id, external_id from calendly_events`).toEqual([
    { user_id: 2, external_id: ID },
  ]);
});

test('rows without an event or without a user are counted, and a second row of one event stays as it is', async () => {
  const { sql, adoptAll } = await migrated((own) => createOrigin(own, { strict: false }));
  await sql`delete from meetings`;
  await sql`insert into meetings (userid, googleeventid, title, meeting_source) values
    ('1', 'calendly_a', 'one', 'calendly'), ('1', 'calendly_a', 'the same', 'calendly'), ('1', 'a-google-id', 'no event', 'calendly'),
    ('99', 'calendly_b', 'no such user', 'calendly'), ('nobody', 'calendly_c', 'no number', 'calendly'), ('1', 'calendly_d', 'of Google', 'google')`;
  expect(await adoptAll()).toEqual({ adopted: 1, duplicates: 1, unrecognised: 3, batches: 1 });
  expect(await sql`select count(*)::integer as count from meetings`).toEqual([{ count: 6 }]);
});

test('only the named events of one user are adopted where a new row would collide', async () => {
  const { sql, database } = await migrated((own) => createOrigin(own, { strict: true }));
  const [row] = await sql<
    { uri: string }[]
  >`select calendly_event_uri as uri from meetings where calendly_event_uri is not null limit 1`;
  const only = { userId: '1', uris: [row?.uri ?? '', 'https://api.calendly.com/scheduled_events/none'] };
  expect(
    await database.transaction((tx) => adoptMeetings(tx, { only: { ...only, userId: '2' } })),
  ).toMatchObject({ adopted: 0 });
  expect(await database.transaction((tx) => adoptMeetings(tx, { only }))).toMatchObject({
    adopted: 1,
    next: null,
  });
  expect(await sql`select user_id, adopted from calendly_events`).toEqual([{ user_id: 1, adopted: true }]);
});
