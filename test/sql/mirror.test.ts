import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { createOrigin } from '../support/hosts.js';
import { runAll } from './files.js';

const ID = '0b5f2f5e-0000-4000-8000-00000000000a';

/** The application's tables, migrated, with one meeting that we wrote. */
async function mirrored(strict: boolean) {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict });
  await runAll(sql, 'up');
  await sql`
    insert into meetings (user_id, meeting_source, external_id, calendly_uri, title, status, start_time, end_time, is_deleted, raw)
    values (1, 'calendly', ${ID}, ${`https://api.calendly.com/scheduled_events/${ID}`}, null, 'active',
      '2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', false, '{"location": {"type": "physical", "location": "Room 1"}}')`;
  const read = async () => (await sql`select * from meetings where external_id = ${ID}`)[0];
  return { sql, read };
}

describe.each([true, false])('an application with columns of its own (strict: %s)', (strict) => {
  test(`finds our rows by them at once (strict: ${strict})`, async () => {
    const { read } = await mirrored(strict);
    expect(await read()).toMatchObject({
      userid: '1',
      googleeventid: `calendly_${ID}`,
      calendly_event_uuid: ID,
      calendly_event_uri: `https://api.calendly.com/scheduled_events/${ID}`,
      starttime: new Date('2026-03-01T10:00:00Z'),
      endtime: new Date('2026-03-01T11:00:00Z'),
      sync_status: 'active',
      location: 'Room 1',
      ...(strict ? { title: 'Calendly meeting' } : {}),
    });
  });

  test(`sees a move and a cancellation that we write (strict: ${strict})`, async () => {
    const { sql, read } = await mirrored(strict);
    await sql`update meetings set start_time = '2026-03-02T10:00:00Z', calendly_uri = calendly_uri where external_id = ${ID}`;
    expect(await read()).toMatchObject({
      starttime: new Date('2026-03-02T10:00:00Z'),
      sync_status: 'active',
    });
    await sql`update meetings set is_deleted = true, deleted_reason = 'gone' where external_id = ${ID}`;
    expect(await read()).toMatchObject({ sync_status: 'deleted' });
  });

  test(`keeps what it writes itself, a column at a time and a whole row (strict: ${strict})`, async () => {
    const { sql, read } = await mirrored(strict);
    const moved = new Date('2026-04-01T10:00:00Z');
    await sql`update meetings set title = 'Mine', starttime = ${moved}, is_deleted = false where external_id = ${ID}`;
    expect(await read()).toMatchObject({ title: 'Mine', starttime: moved });
    await sql`update meetings set calendly_uri = calendly_uri, start_time = start_time, starttime = ${moved}, raw = raw where external_id = ${ID}`;
    expect(await read()).toMatchObject({ title: 'Mine', starttime: moved });
  });

  test(`goes on inserting its own rows (strict: ${strict})`, async () => {
    const { sql } = await mirrored(strict);
    const [row] = await sql`
      insert into meetings (userid, googleeventid, title, starttime, meeting_source, calendly_event_uuid, sync_status)
      values ('2', 'calendly_own', 'Own', '2026-05-01T10:00:00Z', 'calendly', 'own', 'active') returning *`;
    expect(row).toMatchObject({ userid: '2', title: 'Own', user_id: null, start_time: null });
  });
});

test.each([
  `check (sync_status in ('active', 'canceled', 'error'))`,
  `check (sync_status = 'active' or sync_status = 'cancelled')`,
])('a canceled meeting gets a sync_status that the application allows: %s', async (check) => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  await sql.unsafe(`
    alter table meetings drop constraint meetings_sync_status_check;
    update meetings set sync_status = 'active';
    alter table meetings add ${check}`);
  await runAll(sql, 'up');
  const [row] = await sql`
    insert into meetings (user_id, meeting_source, external_id, calendly_uri, status, start_time, is_deleted, deleted_reason)
    values (1, 'calendly', ${ID}, ${ID}, 'canceled', now(), true, 'canceled') returning *`;
  expect(row?.sync_status).toMatch(/^cancell?ed$/);
});
