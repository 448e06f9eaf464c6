/** `calendly_bookings` and the reports against what the API answered, computed here and not by SQL. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { readReport } from '../../src/reports/report.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

type Booking = ReturnType<typeof bookingsOf>[number];

/** Every person's every booking at the sandbox, with its outcome by the definition in the documentation. */
function bookingsOf(sandbox: Sandbox, now = Date.now()) {
  return sandbox.control.state().flatMap(({ event, invitees }) =>
    invitees.map((invitee) => {
      const [start, end] = [Date.parse(event.start_time), Date.parse(event.end_time)];
      const canceled = invitee.status === 'canceled' || event.status === 'canceled';
      const byTime = start > now ? 'upcoming' : end > now ? 'running' : 'held';
      const outcome = invitee.rescheduled
        ? 'rescheduled'
        : canceled
          ? 'canceled'
          : invitee.no_show
            ? 'no_show'
            : byTime;
      return { event, invitee, outcome, start };
    }),
  );
}

async function synced(sandbox: Sandbox, hosts = [0]) {
  const { url, sql } = await testDatabase();
  for (const host of hosts) await syncing(sandbox, url, host)();
  const database = openServer(url);
  onTestFinished(() => database.close());
  return { url, sql, database };
}

const countBy = (rows: Booking[], key: (row: Booking) => string) =>
  rows.reduce<Record<string, number>>((counts, row) => {
    counts[key(row)] = (counts[key(row)] ?? 0) + 1;
    return counts;
  }, {});

test('every booking has the outcome that follows from what Calendly answered, and each stands there once', async () => {
  const sandbox = await testSandbox({ events: 120, rateLimit: 50_000 });
  const { control } = sandbox;
  const shared = control.book({ start: '-3d', created: '-9d', with: [1], invitees: 2 });
  control.noShow({ event: shared.event.uri, invitee: shared.invitees[0]?.uri ?? '' });
  const first = control.book({ start: '+3d' });
  const second = control.reschedule({ event: first.event.uri, start: '+4d' }).new;
  const third = control.reschedule({ event: second.event.uri, start: '+5d' }).new;
  const { sql } = await synced(sandbox, [0, 1]);
  const expected = bookingsOf(sandbox).filter(({ event }) =>
    event.event_memberships.some(({ user }) => [0, 1].some((host) => sandbox.hosts[host]?.uri === user)),
  );
  const rows = await sql<{ invitee_uri: string; outcome: string }[]>`select * from calendly_bookings`;
  expect(rows.map(({ invitee_uri, outcome }) => `${invitee_uri} ${outcome}`).sort()).toEqual(
    expected.map(({ invitee, outcome }) => `${invitee.uri} ${outcome}`).sort(),
  );
  const [paid] = await sql<{ paid: number }[]>`select sum(paid)::float8 as paid from calendly_bookings`;
  const sum = expected.reduce((total, { invitee: { payment } }) => {
    const { successful, amount } = (payment ?? {}) as { successful?: boolean; amount?: number | string };
    return total + (successful ? Number(amount ?? 0) : 0);
  }, 0);
  expect(paid?.paid).toBeCloseTo(sum);
  const chain = await sql<{ uri: string; root: string }[]>`
    select invitee_uri as uri, chain_uri as root from calendly_bookings where is_rebooking
      and chain_uri = ${first.invitees[0]?.uri ?? ''} order by start_time`;
  expect(chain.map(({ uri }) => uri)).toEqual([second.invitees[0]?.uri, third.invitees[0]?.uri]);
});

test('a meeting of two users here counts once, for both of them', async () => {
  const sandbox = await testSandbox({ events: 0 });
  sandbox.control.book({ start: '+1d', with: [1] });
  const { sql, database } = await synced(sandbox, [0, 1]);
  expect(await sql`select count(*)::integer as n from meetings`).toEqual([{ n: 2 }]);
  const [booking] = await sql`select user_ids, hosts from calendly_bookings`;
  expect(booking?.user_ids).toHaveLength(2);
  expect(booking?.hosts).toEqual([sandbox.hosts[0]?.email, sandbox.hosts[1]?.email]);
  const { rows } = await readReport({ database, report: 'weekly' });
  expect(rows).toMatchObject([{ bookings: 1, people: 1, upcoming: 1 }]);
  const hosts = await readReport({ database, report: 'hosts' });
  expect(hosts.rows.map(({ host, meetings }) => [host, meetings]).sort()).toEqual(
    [0, 1].map((host) => [sandbox.hosts[host]?.email, 1]).sort(),
  );
});

test.each(['Europe/Berlin', 'America/New_York', 'Pacific/Auckland'])(
  'weeks are those of %s on both sides of a change of the clocks, by meeting and by booking',
  async (timezone) => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
    const { control } = sandbox;
    // Every 5 hours over the weeks in which the clocks change, so that days begin at different times in UTC.
    for (const month of ['03', '09', '10'])
      for (let hour = 0; hour < 40 * 24; hour += 5) {
        const start = new Date(Date.parse(`2026-${month}-01T00:30:00Z`) + hour * 3_600_000).toISOString();
        control.book({ start, created: new Date(Date.parse(start) - 40 * 3_600_000).toISOString() });
      }
    const { database } = await synced(sandbox);
    for (const axis of ['meeting', 'booked'] as const) {
      const { rows } = await readReport({ database, report: 'weekly', timezone, axis });
      const expected = countBy(bookingsOf(sandbox), ({ event, invitee }) =>
        mondayOf(axis === 'meeting' ? event.start_time : invitee.created_at, timezone),
      );
      expect(Object.fromEntries(rows.map(({ week, bookings }) => [week, bookings]))).toEqual(expected);
      const [from, to] = ['2026-03-29', '2026-10-25'];
      const days = await readReport({ database, report: 'weekly', timezone, axis, from, to });
      const inRange = bookingsOf(sandbox).filter(({ event, invitee }) => {
        const day = dayOf(axis === 'meeting' ? event.start_time : invitee.created_at, timezone);
        return day >= from && day < to;
      });
      expect(days.rows.reduce((sum, { bookings }) => sum + Number(bookings), 0)).toBe(inRange.length);
    }
  },
);

function dayOf(time: string, timeZone: string): string {
  return new Date(time).toLocaleDateString('sv-SE', { timeZone });
}

function mondayOf(time: string, timeZone: string): string {
  const day = new Date(`${dayOf(time, timeZone)}T00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}

test('the reports agree with each other and with the rows that they count', async () => {
  const sandbox = await testSandbox({ events: 150, rateLimit: 50_000 });
  const { database } = await synced(sandbox);
  const expected = bookingsOf(sandbox).filter(({ event }) =>
    event.event_memberships.some(({ user }) => user === sandbox.hosts[0]?.uri),
  );
  const outcomes = countBy(expected, ({ outcome }) => outcome);
  const sum = async (report: Parameters<typeof readReport>[0]['report'], column = 'bookings') => {
    const { rows } = await readReport({ database, report });
    return rows.reduce((total, row) => total + Number(row[column]), 0);
  };
  const kept = expected.length - (outcomes.rescheduled ?? 0);
  expect(await sum('weekly')).toBe(expected.length);
  expect(await sum('weekly', 'no_show')).toBe(outcomes.no_show ?? 0);
  expect(await sum('cancellations')).toBe(outcomes.canceled ?? 0);
  for (const report of ['sources', 'people', 'lead-time'] as const)
    expect(await sum(report), report).toBe(kept);
  // A meeting counts for each of its hosts.
  const taken = expected.filter(({ outcome }) => !['canceled', 'rescheduled'].includes(outcome));
  expect(await sum('hosts')).toBe(
    taken.reduce(
      (total, { event }) => total + new Set(event.event_memberships.map(({ user }) => user)).size,
      0,
    ),
  );
  const byType = await readReport({ database, report: 'sources', by: 'type' });
  const types = countBy(
    expected.filter(({ outcome }) => outcome !== 'rescheduled'),
    ({ event }) => String(event.name),
  );
  const counted: Record<string, number> = {};
  for (const { segment, bookings } of byType.rows)
    counted[String(segment)] = (counted[String(segment)] ?? 0) + Number(bookings);
  expect(counted).toEqual(types);
});

test('an invalid payment, time zone or list of an account stops no report', async () => {
  const sandbox = await testSandbox({ events: 0 });
  const { event, invitees } = sandbox.control.book({ start: '-1d', created: '-2d' });
  sandbox.control.edit({
    event: event.uri,
    invitee: invitees[0]?.uri ?? '',
    set: {
      payment: { amount: 'much', successful: 'yes' },
      questions_and_answers: [null, 'x', { answer: 'y' }],
    },
  });
  const { sql, database } = await synced(sandbox);
  await sql`update calendly_accounts set timezone = 'Mars/Olympus'`;
  await sql`update meetings set raw = raw || '{"event_memberships": "none", "event_guests": null}'`;
  const { rows } = await readReport({ database, report: 'weekly' });
  expect(rows).toMatchObject([{ timezone: 'UTC', bookings: 1 }]);
  expect(await sql`select paid, hosts from calendly_bookings`).toEqual([{ paid: null, hosts: null }]);
  expect((await readReport({ database, report: 'answers' })).rows).toHaveLength(2);
});
