/** What is stored when, in which order Calendly is asked, and what that costs. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { healthReport } from '../../src/health/report.js';
import { sync } from '../../src/sync/sync.js';
import { testDatabase } from '../support/database.js';
import { startFaultyProxy } from '../support/faulty-proxy.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

test('all rows are stored with the listing, and the next meetings get their invitees first', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
  for (let day = 1; day <= 100; day++) {
    sandbox.control.book({ start: `+${day}d`, created: '-1d' });
    sandbox.control.book({ start: `-${day}d`, created: '-200d' });
  }
  const run = syncing(sandbox, url);
  const order: string[] = [];
  let rowsAtFirstInvitee: number | null = null;
  const rows = sandbox.onRequest(async ({ path }) => {
    if (!path.endsWith('/invitees')) return;
    order.push(path.split('/').at(-2) ?? '');
    rowsAtFirstInvitee ??= (await sql`select from meetings`).length;
  });
  const { user } = await run({ concurrency: 1 });
  rows();
  expect(user).toMatchObject({ status: 'complete', new: 200, requests: 1 + 2 + 200 });
  const stored = await sql`select external_id, start_time > now() as upcoming from meetings
    order by start_time > now() desc, abs(extract(epoch from start_time - now()))`;
  expect(order).toEqual(stored.map((row) => row.external_id));
  expect(rowsAtFirstInvitee).toBe(200);
  await expectTruth(sql, sandbox);
});

test('of 300 meetings at 50 requests a minute, all are stored after 4 requests, and the next 40 with invitees after 48', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50 });
  for (let day = 1; day <= 260; day++) sandbox.control.book({ start: `-${day}d`, created: '-300d' });
  for (let day = 1; day <= 40; day++) sandbox.control.book({ start: `+${day}d`, created: '-1d' });
  let rowsAfterListing: number | null = null;
  sandbox.onRequest(async ({ path }) => {
    if (!path.endsWith('/invitees') || rowsAfterListing !== null) return;
    rowsAfterListing = 0;
    rowsAfterListing = (await sql`select from meetings`).length;
  });
  const controller = new AbortController();
  const running = syncing(sandbox, url)({ signal: controller.signal });
  const read = () => sql`select start_time > now() as upcoming, count(*)::integer as read
    from calendly_events where fingerprint is not null group by 1 order by 1`;
  await expect.poll(read, { timeout: 20_000 }).toEqual([
    { upcoming: false, read: 4 },
    { upcoming: true, read: 40 },
  ]);
  // The listing, who the user is, and 44 events: the others wait for the next minute.
  expect(sandbox.requests()).toHaveLength(48);
  expect(rowsAfterListing).toBe(300);
  controller.abort();
  expect((await running).user).toMatchObject({ error: { code: 'stopped' }, requests: 48 });
});

test('a cancellation is stored with the page that shows it, before anything else is asked for', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const { event } = sandbox.control.book({ start: '+1d' });
  const run = syncing(sandbox, url);
  await run();
  sandbox.control.cancel({ event: event.uri });
  sandbox.control.fail({ kind: 'reset', count: null, match: '/invitees' });
  expect((await run({ timing: { retryPauseMs: 1, timeoutMs: 100 } })).user).toMatchObject({
    status: 'failed',
    deleted: 1,
  });
  expect(await sql`select is_deleted, deleted_reason from meetings`).toEqual([
    { is_deleted: true, deleted_reason: 'canceled' },
  ]);
});

test('the fetch is reported complete when it is: before the first invitee is read', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  sandbox.control.book();
  const { events } = await syncing(sandbox, url)();
  const kinds = events.map((event) => (event.type === 'attempt' ? event.attempt.path : event.type));
  const at = (wanted: (text: string) => boolean) => kinds.findIndex((text) => wanted(String(text)));
  expect(at((text) => text === 'fetched')).toBeLessThan(at((text) => text.includes('/invitees')));
});

test('an unchanged account costs one request, four transactions and eight round trips, those to connect included', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 60, rateLimit: 50_000 });
  await syncing(sandbox, url)();
  const proxy = await startFaultyProxy(url);
  const messages: string[] = [];
  const database = openServer(proxy.url, {
    debug: (_connection: number, text: string) => messages.push(text),
  });
  onTestFinished(() => database.close());
  const config = { calendlyToken: sandbox.hosts[0]?.token ?? '', calendlyApiUrl: sandbox.url };
  const { users } = await sync({ config, database });
  expect(users[0]).toMatchObject({ status: 'complete', requests: 1, changes: [] });
  expect(messages.filter((text) => text.startsWith('begin')).length).toBeLessThanOrEqual(4);
  expect(messages.length, messages.join('\n')).toBeLessThanOrEqual(12);
  expect(proxy.turns(), messages.join('\n')).toBeLessThanOrEqual(8);
});

test('a dry run says which meetings would change, for the requests of a sync, and writes nothing', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const { control } = sandbox;
  const [edited, gone] = ['+1d', '+2d'].map((start) => control.book({ start, created: '-1d' }).event.uri);
  const { event: past } = control.book({ start: '-30h', created: '-40h' });
  const run = syncing(sandbox, url);
  await run();
  await sql`update calendly_events set read_at = end_time, recheck_at = end_time + interval '24 hours'
    where external_id = ${past.uri.split('/').pop() ?? ''}`;
  control.edit({ event: edited ?? '', set: { name: 'Renamed' } });
  control.delete({ event: gone ?? '' });
  const booked = control.book({ start: '+3d' }).event.uri;
  const before = await sql`select md5(string_agg(m::text, '' order by id)) as rows from meetings m`;
  const { user } = await run({ dryRun: true });
  expect(user).toMatchObject({
    dry_run: true,
    status: 'complete',
    new: 1,
    updated: 1,
    deleted: 1,
    changes_count: 3,
  });
  // The edited and the new meeting, and the look at the one that has ended.
  expect(user.invitees.events_read).toBe(3);
  const changes = Object.fromEntries(user.changes.map(({ uri, outcome }) => [uri, outcome]));
  expect(changes).toEqual({ [booked]: 'new', [edited ?? '']: 'updated', [gone ?? '']: 'deleted' });
  expect(await sql`select md5(string_agg(m::text, '' order by id)) as rows from meetings m`).toEqual(before);
  expect(await sql`select from calendly_pending_events`).toHaveLength(0);
  const real = await run();
  expect(real.user.changes.map(({ uri, outcome }) => [uri, outcome]).sort()).toEqual(
    Object.entries(changes).sort(),
  );
});

test('a callback that throws harms nothing, and neither signal nor callback is needed', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 20 });
  const config = { calendlyToken: sandbox.hosts[0]?.token ?? '', calendlyApiUrl: sandbox.url };
  const database = openServer(url);
  onTestFinished(() => database.close());
  const onEvent = () => {
    throw new Error('a defect of the caller');
  };
  expect((await sync({ config, database, onEvent })).users[0]).toMatchObject({ status: 'complete' });
  expect((await sync({ config, database })).users[0]).toMatchObject({ status: 'complete' });
  await expectTruth(sql, sandbox);
});

test('what is due each day is spread: the oldest readings are repeated, and who the user is', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
  for (let day = 1; day <= 40; day++) sandbox.control.book({ start: `-${day + 2}d`, created: '-60d' });
  const run = syncing(sandbox, url);
  await run();
  await sql`update calendly_accounts set last_full_listing_at = now() - interval '25 hours'`;
  await sql`update calendly_events set read_at = now() - interval '2 days', recheck_at = null`;
  await sql`update calendly_accounts set email = 'old@example.com'`;
  const [oldest] = await sql`update calendly_events set read_at = now() - interval '9 days'
    where external_id = (select min(external_id) from calendly_events) returning external_id`;
  const { user } = await run();
  // Two of 40, the listing, and /users/me.
  expect(user).toMatchObject({ requests: 4, invitees: { events_read: 2 } });
  const read = sandbox
    .requests()
    .slice(-3)
    .map(({ path }) => path);
  expect(read).toContain(`/scheduled_events/${oldest?.external_id}/invitees`);
  expect((await sql`select email from calendly_accounts`)[0]?.email).not.toBe('old@example.com');
});

test('the audit does not read what Calendly has lost, and the oldest reading is what health shows', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
  const uris = Array.from(
    { length: 6 },
    (_, day) => sandbox.control.book({ start: `-${day + 3}d`, created: '-60d' }).event.uri,
  );
  const run = syncing(sandbox, url);
  const gone = uris.slice(0, 3);
  await run();
  for (const event of gone) sandbox.control.delete({ event });
  await run();
  const age = async () => {
    await sql`update calendly_accounts set last_full_listing_at = now() - interval '25 hours'`;
    await sql`update calendly_events set read_at = read_at - interval '2 days', recheck_at = null`;
  };
  await age();
  await sql`update calendly_events set read_at = read_at - interval '9 days'
    where meeting_id in (select id from meetings where deleted_reason = 'gone')`;
  const database = openServer(url);
  onTestFinished(() => database.close());
  const config = { calendlyToken: null, calendlyApiUrl: sandbox.url, webhookSigningKeys: [] };
  const oldest = async () =>
    (await healthReport({ database, config, maxAgeMs: 1e9, offline: true })).users[0]?.oldest_reading;
  for (let days = 0; days < 3; days++) {
    const [row] =
      await sql`select min(e.read_at) as read_at from calendly_events e join meetings m on m.id = e.meeting_id
      where m.deleted_reason is null`;
    expect(await oldest()).toEqual(row?.read_at);
    // The listing, /users/me, and one meeting.
    expect((await run()).user).toMatchObject({ status: 'complete', requests: 3 });
    if (days < 2) await age();
  }
  const [{ read } = { read: 0 }] =
    await sql`select count(*)::integer as read from calendly_events where read_at > now() - interval '5 days'
      and meeting_id in (select id from meetings where deleted_reason is null)`;
  expect(read).toBe(3);
});

test('a meeting of which only an invitee changed is reported once, by sync and by its event', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const { event, invitees } = sandbox.control.book({ start: '-3d', created: '-9d' });
  const run = syncing(sandbox, url);
  expect((await run()).user.changes).toMatchObject([{ uri: event.uri, outcome: 'new' }]);
  sandbox.control.noShow({ event: event.uri, invitee: invitees[0]?.uri ?? '' });
  await sql`update calendly_events set fingerprint = null`;
  const { user, events } = await run();
  const change = { uri: event.uri, outcome: 'invitees', source: 'poll' };
  expect(user).toMatchObject({ updated: 0, changes: [change], changes_count: 1, invitees: { updated: 1 } });
  expect(events.filter(({ type }) => type === 'meeting')).toMatchObject([change]);
});

test('force-full with reread reads the invitees of every meeting again', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  for (let day = 1; day <= 5; day++) sandbox.control.book({ start: `-${day + 5}d`, created: '-60d' });
  const run = syncing(sandbox, url);
  await run();
  await sql`update meeting_invitees set name = 'stale', raw = raw || '{"name": "stale"}'`;
  expect((await run({ full: true })).user).toMatchObject({ requests: 1 });
  expect((await run({ full: true, reread: true })).user).toMatchObject({
    requests: 1 + 5,
    invitees: { updated: 5 },
  });
  await expectTruth(sql, sandbox);
});
