import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MeetingView } from '../../src/sandbox/bookings.js';
import { createAgenda } from '../../src/sandbox/bookings.js';
import { createControl } from '../../src/sandbox/control.js';
import { createDeliveries } from '../../src/sandbox/deliveries.js';
import { type EventFilter, fetchEvents } from '../../src/sandbox/listing.js';
import { parseInstant } from '../../src/sandbox/microseconds.js';
import { pageOf } from '../../src/sandbox/paging.js';
import { createRequestLog } from '../../src/sandbox/request-log.js';
import type { Collection, EventResource } from '../../src/sandbox/resources.js';
import { createWorld } from '../../src/sandbox/state.js';

const NOW = new Date('2026-03-10T12:00:00Z');

function sandboxWithoutServer(events: number) {
  const options = { events, hosts: 2, seed: 3, now: NOW, rateLimit: 1, pageTokenLifetimeMs: 60_000 };
  const world = createWorld({ ...options, exclusiveBounds: false });
  const deliveries = createDeliveries(world.subscriptions, world.clock);
  return { world, control: createControl(world, createAgenda(world, 3, deliveries.announce), deliveries) };
}

type Parts = ReturnType<typeof sandboxWithoutServer>;

/** Something that happens to the meeting that stands at this share of the list. */
const happening = fc.record({
  what: fc.constantFrom('book', 'cancel', 'move', 'reschedule', 'delete', 'loseAccess'),
  where: fc.double({ min: 0, max: 0.999, noNaN: true }),
  hours: fc.integer({ min: -2_000, max: 2_000 }),
  host: fc.nat(1),
});

type Happening = typeof happening extends fc.Arbitrary<infer Value> ? Value : never;

function carryOut({ control }: Parts, { what, where, hours, host }: Happening) {
  const meetings = control.state();
  const chosen = meetings[Math.floor(where * meetings.length)];
  const start = `${hours < 0 ? '-' : '+'}${Math.abs(hours)}h`;
  if (what === 'book' || !chosen) return control.book({ host, start });
  const event = chosen.event.uri;
  if (what === 'move') {
    const at = new Date(NOW.getTime() + hours * 3_600_000).toISOString().replace('.000Z', 'Z');
    return control.edit({ event, set: { start_time: at } });
  }
  if (what === 'delete' || what === 'loseAccess') return control[what]({ event });
  if (chosen.invitees.every(({ status }) => status === 'canceled') || chosen.event.status === 'canceled')
    return null;
  return what === 'cancel' ? control.cancel({ event }) : control.reschedule({ event, start });
}

/** All rows of a listing, cut in pages as the API cuts them. */
function listed({ world }: Parts, filter: EventFilter, count: number) {
  const fetch = fetchEvents(world.store, filter);
  const rows = [];
  let next: string | null = 'http://sandbox/scheduled_events';
  while (next !== null) {
    const page: Collection<EventResource> = pageOf({
      url: new URL(next),
      caller: 'me',
      count,
      tokens: world.pages,
      fetch,
    });
    rows.push(...page.collection);
    next = page.pagination.next_page;
  }
  return rows.map(({ uri }) => uri);
}

/** The same from the whole state, the plain way. */
function expected(meetings: MeetingView[], { hosts, status, min, max, inclusive, descending }: EventFilter) {
  const kept = meetings.filter(({ event }) => {
    const start = parseInstant(event.start_time) ?? 0;
    if (hosts && !event.event_memberships.some(({ user }) => hosts.has(user))) return false;
    if (status !== null && event.status !== status) return false;
    if (min !== null && (inclusive ? start < min : start <= min)) return false;
    return max === null || (inclusive ? start <= max : start < max);
  });
  const uris = kept.map(({ event }) => event.uri);
  return descending ? uris.reverse() : uris;
}

describe('the store', () => {
  it('lists what a plain filter over everything would, whatever happened before', () => {
    const query = fc.record({
      mine: fc.boolean(),
      status: fc.constantFrom(null, 'active' as const, 'canceled' as const),
      from: fc.option(fc.double({ min: 0, max: 0.999, noNaN: true })),
      to: fc.option(fc.double({ min: 0, max: 0.999, noNaN: true })),
      inclusive: fc.boolean(),
      descending: fc.boolean(),
      count: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(fc.nat(30), fc.array(happening, { maxLength: 15 }), query, (events, happenings, asked) => {
        const parts = sandboxWithoutServer(events);
        for (const one of happenings) carryOut(parts, one);
        const meetings = parts.control.state();
        const starts = meetings.map(({ event }) => parseInstant(event.start_time) ?? 0);
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
        // Bounds that are starts themselves, so that inclusive and exclusive differ.
        const bound = (share: number | null) =>
          share === null ? null : (starts[Math.floor(share * starts.length)] ?? 0);
        const host = parts.world.organization.hosts[1]?.user.uri ?? '';
        const filter: EventFilter = {
          hosts: asked.mine ? new Set([host]) : null,
          status: asked.status,
          inviteeEmail: null,
          min: bound(asked.from),
          max: bound(asked.to),
          inclusive: asked.inclusive,
          descending: asked.descending,
        };
        expect(listed(parts, filter, asked.count)).toEqual(expected(meetings, filter));
      }),
      { numRuns: 150 },
    );
  });

  it('keeps everything as it was when an order is refused', () => {
    const { control } = sandboxWithoutServer(10);
    const { event } = control.book();
    control.cancel({ event: event.uri });
    const before = control.state();
    expect(() => control.cancel({ event: event.uri })).toThrow(/canceled already/);
    expect(() => control.reschedule({ event: event.uri })).toThrow(/no active invitee/);
    expect(() => control.edit({ event: before[0]?.event.uri ?? '', invitee: 'nobody' })).toThrow(
      /no invitee/,
    );
    expect(control.state()).toEqual(before);
  });

  it('takes a change while everything is being read', () => {
    const { control } = sandboxWithoutServer(300);
    const before = control.state().map(({ event }) => event.uri);
    const read: string[] = [];
    for (const { event } of control.meetings()) {
      read.push(event.uri);
      // Something that was read already goes away.
      if (read.length === 250) for (const gone of read.slice(0, 100)) control.delete({ event: gone });
    }
    expect(read).toEqual(before);
  });
});

describe('the request log', () => {
  it('keeps the newest requests and counts them all', () => {
    const log = createRequestLog(10);
    for (let request = 1; request <= 35; request++)
      log.begin({ method: 'GET', path: '/', query: '', user_agent: null });
    expect(log.total()).toBe(35);
    const numbers = log.entries().map(({ number }) => number);
    expect(numbers.length).toBeGreaterThanOrEqual(10);
    expect(numbers.at(-1)).toBe(35);
    log.reset();
    expect([log.total(), log.entries()]).toEqual([0, []]);
  });
});
