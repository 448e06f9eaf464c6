/**
 * Under every fault a sync ends with the right rows, or fails and the next run completes it. It never deletes wrongly.
 */
import { describe, expect, test } from 'vitest';
import type { FaultInput } from '../../src/sandbox/faults.js';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

const EVENTS = 150;

const FAULTS: Record<string, FaultInput> = {
  'a reset before the response': { kind: 'reset' },
  'a reset in the middle of the body': { kind: 'reset-body' },
  'a response that never comes': { kind: 'hang' },
  'a body that stops in the middle': { kind: 'hang-body' },
  'truncated JSON': { kind: 'truncated' },
  'unexpected JSON': { kind: 'status', status: 200, body: { data: [{ id: 1 }] } },
  'an empty body': { kind: 'status', status: 200, body: '' },
  'HTML with status 200': { kind: 'status', status: 200, body: '<h1>Checking</h1>' },
  'HTML with status 404': { kind: 'status', status: 404, body: '<html>not here</html>' },
  'HTML with status 403': { kind: 'status', status: 403, body: '<html>go away</html>' },
  'status 500': { kind: 'status', status: 500 },
  'status 502 in HTML': { kind: 'status', status: 502, body: '<html>bad gateway</html>' },
  'status 503': { kind: 'status', status: 503 },
  'a redirect to another host': { kind: 'status', status: 302, headers: { location: 'http://127.0.0.1:9' } },
  'a next page on another host': { kind: 'next-page-elsewhere', to: 'http://127.0.0.1:9' },
  'a page whose next page is itself': { kind: 'page-twice' },
  'a stale page token': { kind: 'status', status: 400, match: 'page_token=', body: STALE() },
  'a 404 for an existing event': { kind: 'status', status: 404, match: '/scheduled_events/' },
  'a 403 for an event of this user': { kind: 'status', status: 403, match: '/scheduled_events/' },
  'a 401 in the middle of a run': { kind: 'status', status: 401, after: 20 },
};

describe('one faulty response in ten', async () => {
  const { url, sql } = await testDatabase();

  for (const [name, fault] of Object.entries(FAULTS)) {
    test(`a sync deletes nothing wrongly and recovers from ${name}`, async () => {
      await sql`truncate meetings, calendly_accounts, users cascade`;
      const sandbox = await testSandbox({ events: EVENTS, rateLimit: 50_000 });
      const run = syncing(sandbox, url);
      // From the second run on there are stored meetings that could be deleted wrongly.
      sandbox.control.fail({ ...fault, rate: 0.1, count: name.includes('401') ? 1 : null });
      for (let attempt = 0; attempt < 3; attempt++) {
        const { user } = await run({ timing: { retryPauseMs: 2, timeoutMs: 150 } });
        expect(user.status === 'complete').toBe(user.error === null);
        expect(await falseDeletes(sql)).toBe(0);
        // An event that failed three times in a row is set aside.
        if (user.status === 'complete' && user.exceptions.length === 0) await expectTruth(sql, sandbox);
        await sql`update calendly_events set fingerprint = null where meeting_id % 3 = 0`;
      }
      sandbox.control.clearFaults();
      await sql`update calendly_pending_events set listed_at = now() - interval '1 day'`;
      const last = await run();
      expect(last.user.error).toBeNull();
      await expectTruth(sql, sandbox);
      expect(await falseDeletes(sql)).toBe(0);
    });
  }
});

describe('no response', async () => {
  const { url, sql } = await testDatabase();

  test('a run without any response from Calendly fails as calendly_unreachable and deletes nothing', async () => {
    const sandbox = await testSandbox({ events: EVENTS, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    await run();
    sandbox.control.fail({ kind: 'reset', count: null });
    const { user } = await run();
    expect(user).toMatchObject({ status: 'failed', deleted: 0, error: { code: 'calendly_unreachable' } });
    sandbox.control.clearFaults();
    expect((await run()).user).toMatchObject({ status: 'complete', updated: 0 });
    await expectTruth(sql, sandbox);
  });

  test('what was read before Calendly stopped responding is stored, and the next run does not read it again', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    const sandbox = await testSandbox({ events: EVENTS, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    sandbox.control.fail({ kind: 'status', status: 500, count: null, match: '/invitees', after: 70 });
    const first = await run();
    expect(first.user).toMatchObject({ status: 'failed', error: { code: 'calendly_unreachable' } });
    const stored = first.user.new + first.user.recorded_canceled;
    expect(stored).toBeGreaterThan(40);
    const [flags] =
      await sql`select calendly_initial_sync_complete as done, last_calendly_sync as last from users`;
    expect(flags).toMatchObject({ done: false, last: null });
    sandbox.control.clearFaults();
    const second = await run();
    expect(second.user).toMatchObject({ status: 'complete', mode: 'full', unchanged: stored });
    await expectTruth(sql, sandbox);
  });
});

describe('one failing event', async () => {
  const { url, sql } = await testDatabase();

  test('an event that cannot be read keeps its invitees, all others are updated, and the run is incomplete', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    const one = sandbox.control.book({ start: '+1d', invitees: 2, limit: 5 }).event.uri;
    const other = sandbox.control.book({ start: '+2d', invitees: 2, limit: 5 }).event.uri;
    await run();
    sandbox.control.join({ event: one });
    sandbox.control.join({ event: other });
    const id = one.split('/').pop() ?? '';
    sandbox.control.fail({ kind: 'status', status: 500, count: null, match: id });
    const failed = await run();
    expect(failed.user).toMatchObject({ status: 'failed', updated: 2, error: { code: 'incomplete' } });
    const counts =
      await sql`select count(*)::integer as n from meeting_invitees group by meeting_id order by meeting_id`;
    expect(counts.map(({ n }) => n)).toEqual([2, 3]);
    sandbox.control.clearFaults();
    expect((await run()).user).toMatchObject({ status: 'complete', updated: 0, invitees: { new: 1 } });
    await expectTruth(sql, sandbox);
  });

  test('a row that the database rejects is reported by its URI, and all others are stored', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    await sql`alter table meetings add constraint picky check (title <> 'refused')`;
    const sandbox = await testSandbox({ events: 30, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    const bad = sandbox.control.book({ name: 'refused' }).event.uri;
    const { user, events } = await run();
    expect(user).toMatchObject({ status: 'failed', error: { code: 'incomplete' } });
    expect(user.new + user.recorded_canceled).toBe(30);
    expect(
      events.filter(({ type }) => type === 'warning').map((event) => 'text' in event && event.text),
    ).toEqual([expect.stringContaining(bad)]);
    await sql`alter table meetings drop constraint picky`;
    expect((await run()).user).toMatchObject({ status: 'complete', new: 1 });
    await expectTruth(sql, sandbox);
  });
});

describe('deletion', async () => {
  const { url, sql } = await testDatabase();

  test('a run that meets an event deleted since it was listed is complete', async () => {
    const sandbox = await testSandbox({ events: 20, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    const { event } = sandbox.control.book({ created: '-1h' });
    const id = event.uri.split('/').pop() ?? '';
    const stop = sandbox.onRequest(({ path }) => {
      if (path.includes(id)) sandbox.control.delete({ event: event.uri });
    });
    const { user } = await run();
    stop();
    expect(user).toMatchObject({ status: 'complete', deleted: event.status === 'active' ? 1 : 0 });
    await expectTruth(sql, sandbox);
  });

  test('an unfinished listing deletes nothing', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    const sandbox = await testSandbox({ events: 250, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    await run();
    await sql`update users set calendly_initial_sync_complete = false`;
    sandbox.control.fail({ kind: 'status', status: 500, count: null, match: 'page_token=' });
    const { user } = await run();
    expect(user).toMatchObject({ status: 'failed', deleted: 0 });
    expect(await falseDeletes(sql)).toBe(0);
  });

  test('meetings that move from page to page during the listing are not deleted', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    const sandbox = await testSandbox({ events: 250, rateLimit: 50_000 });
    const run = syncing(sandbox, url);
    await run();
    await sql`update users set calendly_initial_sync_complete = false`;
    const year = 365 * 86_400_000;
    const all = sandbox.control
      .state()
      .filter(
        ({ event }) =>
          event.status === 'active' && Math.abs(Date.parse(event.start_time) - Date.now()) < year / 2,
      );
    let moved = 0;
    const stop = sandbox.onRequest(({ query }) => {
      if (!query.includes('page_token') || moved >= 40) return;
      for (const { event } of all.slice(moved, moved + 20)) {
        const start = new Date(
          Date.parse(event.start_time) + (moved % 2 ? -1 : 1) * 40 * 86_400_000,
        ).toISOString();
        sandbox.control.edit({ event: event.uri, set: { start_time: start.replace('Z', '000Z') } });
        moved++;
      }
    });
    expect((await run()).user.error).toBeNull();
    stop();
    expect(moved).toBe(40);
    await sql`update calendly_accounts set last_full_listing_at = null`;
    expect((await run()).user.error).toBeNull();
    await expectTruth(sql, sandbox);
    expect(await falseDeletes(sql)).toBe(0);
  });
});

async function falseDeletes(sql: Awaited<ReturnType<typeof testDatabase>>['sql']): Promise<number> {
  const [row] =
    await sql`select count(*)::integer as n from meetings where deleted_reason in ('gone', 'access_lost')`;
  return row?.n;
}

function STALE() {
  return {
    title: 'Invalid Argument',
    message: 'The supplied parameters are invalid.',
    details: [{ parameter: 'page_token', message: 'is invalid' }],
  };
}
