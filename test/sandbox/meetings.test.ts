import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createControl } from '../../src/sandbox/control.js';
import { generateAccount } from '../../src/sandbox/generate.js';
import type { MeetingView } from '../../src/sandbox/resources.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { formatInstant, parseInstant } from '../../src/sandbox/time.js';
import { eventsPath, readAll, testSandbox } from '../support/sandbox.js';

const NOW = new Date('2026-03-10T12:00:00Z');

function withoutServer(events: number) {
  return createControl(generateAccount({ events, hosts: 2, seed: 3, now: NOW }));
}

/** Something that happens to the meeting that stands at this share of the list. */
const happening = fc.record({
  what: fc.constantFrom('book', 'cancel', 'move', 'reschedule', 'delete', 'loseAccess'),
  where: fc.double({ min: 0, max: 0.999, noNaN: true }),
  hours: fc.integer({ min: -2_000, max: 2_000 }),
  host: fc.nat(1),
});

type Happening = typeof happening extends fc.Arbitrary<infer Value> ? Value : never;

function execute(control: Sandbox['control'], { what, where, hours, host }: Happening) {
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

interface Filter {
  mine: boolean;
  status: 'active' | 'canceled' | null;
  min: number;
  max: number;
  descending: boolean;
}

/** The same from the whole state, the plain way. */
function expected(meetings: MeetingView[], host: string, filter: Filter) {
  const { mine, status, min, max, descending } = filter;
  const kept = meetings.filter(({ event }) => {
    const start = parseInstant(event.start_time) ?? 0;
    if (mine && !event.event_memberships.some(({ user }) => user === host)) return false;
    if (status !== null && event.status !== status) return false;
    return start >= min && start <= max;
  });
  const uris = kept.map(({ event }) => event.uri);
  return descending ? uris.reverse() : uris;
}

/** All rows of the listing, page by page. */
async function listed(sandbox: Sandbox, { mine, status, min, max, descending }: Filter, count: number) {
  const query = new URLSearchParams({ count: String(count), organization: sandbox.organization });
  if (mine) query.set('user', sandbox.hosts[0]?.uri ?? '');
  if (status) query.set('status', status);
  if (min > -Infinity) query.set('min_start_time', formatInstant(min));
  if (max < Infinity) query.set('max_start_time', formatInstant(max));
  if (descending) query.set('sort', 'start_time:desc');
  return (await readAll(sandbox, `/scheduled_events?${query}`)).rows.map(({ uri }) => uri);
}

describe('the meetings', () => {
  test('the listing is what a plain filter over all meetings gives, whatever happened before', async () => {
    const query = fc.record({
      mine: fc.boolean(),
      status: fc.constantFrom(null, 'active' as const, 'canceled' as const),
      from: fc.option(fc.double({ min: 0, max: 0.999, noNaN: true })),
      to: fc.option(fc.double({ min: 0, max: 0.999, noNaN: true })),
      descending: fc.boolean(),
      count: fc.integer({ min: 1, max: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(30),
        fc.array(happening, { maxLength: 15 }),
        query,
        async (events, happenings, { from, to, count, ...asked }) => {
          const options = { events, hosts: 2, seed: 3, now: NOW, rateLimit: 10_000 };
          const sandbox = await testSandbox(options);
          for (const one of happenings) execute(sandbox.control, one);
          const meetings = sandbox.control.state();
          const starts = meetings.map(({ event }) => parseInstant(event.start_time) ?? 0);
          expect(starts).toEqual([...starts].sort((a, b) => a - b));
          const bound = (share: number | null, fallback: number) =>
            share === null ? fallback : (starts[Math.floor(share * starts.length)] ?? fallback);
          const filter = { ...asked, min: bound(from, -Infinity), max: bound(to, Infinity) };
          const host = sandbox.hosts[0]?.uri ?? '';
          expect(await listed(sandbox, filter, count)).toEqual(expected(meetings, host, filter));
        },
      ),
      { numRuns: 100 },
    );
  });

  test('a refused command changes nothing', () => {
    const control = withoutServer(10);
    const { event } = control.book();
    control.cancel({ event: event.uri });
    const before = control.state();
    expect(() => control.cancel({ event: event.uri })).toThrow(/canceled already/);
    expect(() => control.reschedule({ event: event.uri })).toThrow(/no such active invitee/);
    expect(() => control.edit({ event: before[0]?.event.uri ?? '', invitee: 'nobody' })).toThrow(
      /no invitee/,
    );
    expect(control.state()).toEqual(before);
  });

  test('a state that was read does not change with later commands', () => {
    const control = withoutServer(30);
    const before = control.state();
    const copy = structuredClone(before);
    for (const { event } of copy.slice(0, 10)) control.delete({ event: event.uri });
    control.edit({ event: copy[20]?.event.uri ?? '', set: { name: 'Changed' } });
    expect(before).toEqual(copy);
    expect(control.state()).toHaveLength(50);
  });

  test('the listing goes on while meetings are deleted behind it', async () => {
    const sandbox = await testSandbox({ events: 300, hosts: 1, now: NOW });
    const all = (await readAll(sandbox, eventsPath(sandbox, { count: '100' }))).rows.map(({ uri }) => uri);
    const stop = sandbox.onRequest(({ query }) => {
      if (query.includes('page_token'))
        for (const uri of all.slice(0, 50)) sandbox.control.delete({ event: uri });
    });
    const { rows } = await readAll(sandbox, eventsPath(sandbox, { count: '100' }));
    stop();
    expect(rows.map(({ uri }) => uri)).toEqual(all);
  });
});
