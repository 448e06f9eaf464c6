/** The main promise: after a sync the tables hold what Calendly returns, for the fewest possible requests. */
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

describe('a generated account of 250 meetings', async () => {
  const { url, sql } = await testDatabase();

  test('a first sync copies all meetings, a second lists the recent ones, for the fewest requests', async () => {
    const sandbox = await testSandbox({ events: 250, rateLimit: 5_000 });
    const run = syncing(sandbox, url);
    const mine = sandbox.control.state().filter(({ event }) => hostedBy(event, sandbox.hosts[0]?.uri ?? ''));
    const invited = mine.filter(({ invitees }) => invitees.length > 0);
    const furtherPages = invited.reduce((sum, { invitees }) => sum + Math.ceil(invitees.length / 100) - 1, 0);

    const first = await run();
    expect(first.user.error).toBeNull();
    expect(first.user).toMatchObject({
      mode: 'full',
      status: 'complete',
      updated: 0,
      deleted: 0,
      unchanged: 0,
      retries: 0,
    });
    expect(first.user.new + first.user.recorded_canceled).toBe(mine.length);
    expect(first.user.fetched.active + first.user.fetched.canceled).toBe(mine.length);
    expect(first.user.requests).toBe(1 + Math.ceil(mine.length / 100) + invited.length + furtherPages);
    expect(sandbox.requests()).toHaveLength(first.user.requests);
    expect(first.user.invitees.new).toBe(mine.reduce((sum, { invitees }) => sum + invitees.length, 0));
    await expectTruth(sql, sandbox);

    sandbox.resetLog();
    const second = await run();
    const recent = second.user.fetched.active + second.user.fetched.canceled;
    expect(second.user).toMatchObject({
      mode: 'incremental',
      status: 'complete',
      new: 0,
      updated: 0,
      deleted: 0,
      restored: 0,
    });
    expect(second.user.unchanged).toBe(recent);
    expect(recent).toBeLessThan(mine.length);
    expect(second.user.requests).toBe(Math.max(1, Math.ceil(recent / 100)));
    expect(sandbox.requests()).toHaveLength(second.user.requests);
    await expectTruth(sql, sandbox);
  });

  test('a sync writes no row that did not change', async () => {
    const sandbox = await testSandbox({ events: 250, rateLimit: 5_000, seed: 1 });
    const run = syncing(sandbox, url);
    await run();
    const written = async () => {
      await sql`select pg_stat_force_next_flush()`.catch(() => {});
      const [row] = await sql`
        select sum(n_tup_ins + n_tup_upd + n_tup_del)::integer as n from pg_stat_xact_user_tables
        where relname in ('meetings', 'meeting_invitees', 'calendly_events')`;
      const [newest] = await sql`select max(xmin::text::bigint)::text as xmin from (
        select xmin from meetings union all select xmin from meeting_invitees
        union all select xmin from calendly_events) t`;
      return [row?.n, newest?.xmin];
    };
    const before = await written();
    const again = await run();
    expect(again.user).toMatchObject({ status: 'complete', updated: 0 });
    expect(await written()).toEqual(before);
  });
});

describe('changes at Calendly', async () => {
  const { url, sql } = await testDatabase();

  test('each change at Calendly costs one request and is counted by its kind', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 5_000 });
    const { control } = sandbox;
    const run = syncing(sandbox, url);
    const [canceled, moved, edited, gone, lost, group] = Array.from({ length: 6 }, (_, index) =>
      control.book({
        start: `+${index + 1}d`,
        created: '-1h',
        ...(index === 5 ? { invitees: 3, limit: 10 } : {}),
      }),
    ).map(({ event }) => event.uri) as [string, string, string, string, string, string];
    await run();
    await expectTruth(sql, sandbox);

    const quiet = await run();
    expect(quiet.user.requests).toBe(1);

    control.book({ start: '+10d' });
    control.cancel({ event: canceled, by: 'host', reason: 'ill' });
    control.reschedule({ event: moved, start: '+11d' });
    control.edit({ event: edited, set: { name: 'Another name' } });
    control.join({ event: group });
    control.delete({ event: gone });
    control.loseAccess({ event: lost });
    sandbox.resetLog();
    const third = await run();
    expect(third.user).toMatchObject({
      status: 'complete',
      new: 2, // booked, and the new half of the reschedule
      deleted: 4, // canceled, the old half of the reschedule, gone, access lost
      updated: 2, // edited, joined
      restored: 0,
      unchanged: 0,
    });
    expect(third.user.requests).toBe(1 + 8);
    await expectTruth(sql, sandbox);
    const reasons =
      await sql`select deleted_reason, count(*)::integer as n from meetings where is_deleted group by 1 order by 1`;
    expect(Object.fromEntries(reasons.map((row) => [row.deleted_reason, row.n]))).toEqual({
      access_lost: 1,
      canceled: 2,
      gone: 1,
    });

    control.cancel({ event: group, invitee: -1 });
    control.restore({ event: gone });
    const fourth = await run();
    expect(fourth.user).toMatchObject({ status: 'complete', new: 0, updated: 1, deleted: 0, restored: 1 });
    // The restored meeting is unchanged: its row is written, its invitees are not read.
    expect(fourth.user.requests).toBe(1 + 1);
    await expectTruth(sql, sandbox);
    expect((await run()).user).toMatchObject({ updated: 0, requests: 1 });
  });

  test('both halves of a reschedule are linked', async () => {
    const rows = await sql`
      select o.calendly_uri as old, n.calendly_uri as new from meeting_invitees o
      join meeting_invitees n on n.calendly_uri = o.new_invitee_uri and n.old_invitee_uri = o.calendly_uri`;
    expect(rows).toHaveLength(1);
  });
});

describe('a no-show marked after the meeting', async () => {
  const { url, sql } = await testDatabase();

  test('a no-show that no listing shows is found with one extra request per event', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const run = syncing(sandbox, url);
    const { event } = sandbox.control.book({ start: '-30h', created: '-40h' });
    sandbox.control.book({ start: '-1h', created: '-40h' });
    await run();
    // As if its invitees had been read just after it ended, before the mark was set.
    await sql`update calendly_events set read_at = end_time, recheck_at = end_time + interval '24 hours'`;
    sandbox.control.noShow({ event: event.uri });
    const found = await run();
    expect(found.user).toMatchObject({ requests: 2, updated: 0, unchanged: 2 });
    expect(found.user.invitees).toMatchObject({ events_read: 1, updated: 1 });
    await expectTruth(sql, sandbox);
    expect((await run()).user.requests).toBe(1);
  });
});

describe('what lies outside the short window', async () => {
  const { url, sql } = await testDatabase();

  test('changes outside the recent window are found by the daily listing of the full window', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const run = syncing(sandbox, url);
    const { event: old } = sandbox.control.book({ start: '-200d', created: '-210d' });
    const { event: far } = sandbox.control.book({ start: '+300d' });
    await run();
    sandbox.control.edit({ event: old.uri, set: { name: 'Edited long after' } });
    sandbox.control.cancel({ event: far.uri });
    const soon = await run();
    expect(soon.user).toMatchObject({ fetched: { active: 0, canceled: 0 }, updated: 0, deleted: 0 });
    await sql`update calendly_accounts set last_full_listing_at = now() - interval '25 hours'`;
    const daily = await run();
    expect(daily.user).toMatchObject({ mode: 'incremental', updated: 1, deleted: 1 });
    // Who the token's user is, the listing, and the invitees of the canceled and of the edited meeting.
    expect(daily.user.requests).toBe(4);
    await expectTruth(sql, sandbox);
    expect((await run()).user.fetched).toEqual({ active: 0, canceled: 0 });
  });
});

function hostedBy(event: { event_memberships: { user: string }[] }, uri: string): boolean {
  return event.event_memberships.some(({ user }) => user === uri);
}
