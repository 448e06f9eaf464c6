/** Answers with status 200 or 404 that are wrong: nothing is deleted for them, and the rows converge. */
import { expect, test } from 'vitest';
import { createTransport, type HttpTransport } from '../../src/calendly/transport.js';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

async function account(events = 0) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events, hosts: 2, rateLimit: 50_000 });
  return { sql, sandbox, run: syncing(sandbox, url) };
}

test('an empty first listing is asked for twice', async () => {
  const { sql, sandbox, run } = await account(60);
  sandbox.control.fail({ kind: 'short-listing', rows: 100, count: 1, match: 'min_start_time' });
  expect((await run()).user).toMatchObject({ status: 'complete', new: expect.any(Number) });
  await expectTruth(sql, sandbox);
});

test('a listing that lacks many meetings is asked for again, and costs no request for each of them', async () => {
  const { sql, sandbox, run } = await account();
  for (let day = 1; day <= 60; day++) sandbox.control.book({ start: `+${day}d`, created: '-1d' });
  await run();
  sandbox.control.fail({ kind: 'short-listing', rows: 50, count: 1, match: 'min_start_time' });
  expect((await run()).user).toMatchObject({ status: 'complete', requests: 2, deleted: 0, unchanged: 60 });
  await expectTruth(sql, sandbox);
});

test('a meeting that is there although it is not listed is asked for once, not in every run', async () => {
  const { sql, sandbox, run } = await account();
  for (let day = 1; day <= 5; day++) sandbox.control.book({ start: `+${day}d`, created: '-1d' });
  await run();
  const short = { kind: 'short-listing', rows: 1, count: 1, match: 'min_start_time' } as const;
  sandbox.control.fail(short);
  expect((await run()).user).toMatchObject({ requests: 2, deleted: 0, invitees: { events_read: 0 } });
  sandbox.control.fail(short);
  expect((await run()).user).toMatchObject({ requests: 1, deleted: 0 });
  expect((await run()).user).toMatchObject({ requests: 1, deleted: 0, unchanged: 5 });
  await expectTruth(sql, sandbox);
});

test('a meeting that was created minutes ago is not deleted because Calendly does not find it yet', async () => {
  const { sql, sandbox, run } = await account();
  const { event: fresh } = sandbox.control.book({ start: '+1d' });
  const { event: old } = sandbox.control.book({ start: '+2d', created: '-1h' });
  await run();
  for (const { uri } of [fresh, old]) sandbox.control.delete({ event: uri });
  expect((await run()).user).toMatchObject({ status: 'complete', deleted: 1 });
  expect(await sql`select deleted_reason from meetings order by start_time`).toEqual([
    { deleted_reason: null },
    { deleted_reason: 'gone' },
  ]);
  await sql`update meetings set calendly_created_at = now() - interval '11 minutes'`;
  expect((await run()).user).toMatchObject({ deleted: 1 });
});

test('wrong answers of every kind delete no meeting and no invitee, and the rows converge', async () => {
  const { sql, sandbox, run } = await account(120);
  await run();
  const counts = async () => {
    const [row] = await sql`select (select count(*)::int from meeting_invitees) as invitees,
      (select count(*)::int from meetings where deleted_reason in ('gone', 'access_lost')) as lost`;
    return row;
  };
  const before = await counts();
  sandbox.control.fail({ kind: 'short-listing', rows: 2, rate: 0.3, count: null, match: 'min_start_time' });
  sandbox.control.fail({ kind: 'short-listing', rows: 1, rate: 0.3, count: null, match: '/invitees' });
  sandbox.control.fail({ kind: 'lagging', rate: 0.2, count: null });
  for (let round = 0; round < 2; round++) {
    await sql`update calendly_events set fingerprint = null where meeting_id % 2 = 0`;
    await sql`update calendly_accounts set last_full_listing_at = null`;
    await run();
    expect(await counts()).toEqual(before);
  }
  sandbox.control.clearFaults();
  for (let round = 0; round < 2; round++) {
    await sql`update calendly_accounts set last_full_listing_at = null`;
    expect((await run()).user.error).toBeNull();
  }
  await expectTruth(sql, sandbox);
});

test('a 404 deletes nothing if the listing also lacked a meeting that is there; the next complete listing decides', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const [hidden, gone] = ['+1d', '+2d'].map(
    (start) => sandbox.control.book({ start, created: '-2d' }).event.uri,
  );
  const run = syncing(sandbox, url);
  await run();
  const send = createTransport(new URL(sandbox.url));
  const withoutHidden: HttpTransport = async (request) => {
    const answer = await send(request);
    if (request.url.pathname !== '/scheduled_events') return answer;
    const page = JSON.parse(answer.text) as { collection: { uri: string }[] };
    page.collection = page.collection.filter(({ uri }) => uri !== hidden);
    return { ...answer, text: JSON.stringify(page) };
  };
  sandbox.control.delete({ event: gone ?? '' });
  expect((await run({ transport: withoutHidden })).user).toMatchObject({ status: 'complete', deleted: 0 });
  expect((await run()).user).toMatchObject({ status: 'complete', deleted: 1 });
  const deleted = await sql`select calendly_uri, deleted_reason from meetings where is_deleted`;
  expect(deleted).toEqual([{ calendly_uri: gone, deleted_reason: 'gone' }]);
});
