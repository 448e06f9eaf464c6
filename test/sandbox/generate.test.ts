import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AccountOptions, generateAccount } from '../../src/sandbox/generate.js';
import { isHostedBy, type MeetingView } from '../../src/sandbox/resources.js';
import { formatInstant, parseDuration, parseInstant } from '../../src/sandbox/time.js';

const NOW = new Date('2026-03-10T12:00:00Z');

function state(options: AccountOptions = {}) {
  return generateAccount({ hosts: 1, now: NOW, ...options });
}

function meetingsOf(options: AccountOptions = {}): MeetingView[] {
  return state(options)
    .meetings.ordered()
    .map(({ event, invitees }) => ({ event, invitees }));
}

const micros = (text: string) => parseInstant(text) ?? Number.NaN;

describe('the generated meetings', () => {
  test('the same seed generates the same meetings, another seed others', () => {
    expect(meetingsOf()).toEqual(meetingsOf());
    expect(meetingsOf({ seed: 2 })[0]?.event.uri).not.toBe(meetingsOf()[0]?.event.uri);
  });

  test('every generated meeting is found by its id, and no other is', () => {
    const { meetings } = state({ events: 500, hosts: 3 });
    for (const meeting of meetings.ordered()) {
      expect(meetings.find(meeting.event.uri.split('/').at(-1) ?? '')).toBe(meeting);
    }
    expect(meetings.find('00000000-0000-4000-8000-000000000000')).toBeUndefined();
    expect(meetings.find('AAAAAAAAAAAAAAAA')).toBeUndefined();
  });

  test('no two of 20,000 generated meetings share an id, nor do their invitees', () => {
    const meetings = meetingsOf({ events: 20_000 });
    const uris = meetings.flatMap(({ event, invitees }) => [event.uri, ...invitees.map(({ uri }) => uri)]);
    expect(new Set(uris).size).toBe(uris.length);
  });

  test('any number of generated meetings is consistent: order, counters, times, links', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(),
        (events, hosts, seed) => {
          const meetings = meetingsOf({ events, hosts, seed });
          expect(meetings).toHaveLength(events * hosts);
          checkWhole(meetings);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('host 0 has exactly as many meetings as asked for, the others some shared ones', () => {
    const { organization, meetings } = state({ events: 100, hosts: 3 });
    const counts = organization.hosts.map(
      ({ user }) => meetings.ordered().filter((meeting) => isHostedBy(meeting.event, user.uri)).length,
    );
    expect(counts[0]).toBe(100);
    expect(counts[1]).toBeGreaterThan(100);
  });

  test('the generated meetings show everything that accounts hold', () => {
    const meetings = meetingsOf();
    const invitees = meetings.flatMap((meeting) => meeting.invitees);
    const share = (fits: (meeting: MeetingView) => boolean) => meetings.filter(fits).length / meetings.length;
    expect(share(({ event }) => event.status === 'canceled')).toBeCloseTo(0.12, 1);
    expect(Math.max(...meetings.map((meeting) => meeting.invitees.length))).toBeGreaterThan(100);
    const seen = {
      empty: meetings.some((meeting) => meeting.invitees.length === 0),
      midChain: invitees.some(({ old_invitee, new_invitee }) => old_invitee && new_invitee),
      noShow: invitees.some(({ no_show }) => no_show),
      guests: meetings.some(({ event }) => event.event_guests.length > 0),
      numberAmount: invitees.some(({ payment }) => typeof payment?.amount === 'number'),
      textAmount: invitees.some(({ payment }) => typeof payment?.amount === 'string'),
      questions: invitees.some(({ questions_and_answers }) => questions_and_answers.length > 1),
      shortId: meetings.some(({ event }) => /\/[0-9A-F]{16}$/.test(event.uri)),
      uuid: meetings.some(({ event }) => /\/[0-9a-f-]{36}$/.test(event.uri)),
      nullName: meetings.some(({ event }) => event.name === null),
      nullLocation: meetings.some(({ event }) => event.location === null),
      nullByte: invitees.some(({ name }) => name?.includes('\u0000')),
      escape: invitees.some(({ name }) => name?.includes('\u001b')),
      rightToLeft: meetings.some(({ event }) => event.name?.includes('\u202e')),
    };
    expect(Object.entries(seen).filter(([, present]) => !present)).toEqual([]);
    const digits = meetings.map(({ event }) => /\.(\d+)Z$/.exec(event.created_at)?.[1]?.length ?? 0);
    expect([...new Set(digits)].sort()).toEqual([0, 1, 3, 5, 6]);
  });

  test('the generated meetings lie within two years back and one year ahead', () => {
    const starts = meetingsOf().map(({ event }) => micros(event.start_time) / 86_400_000_000);
    const today = NOW.getTime() / 86_400_000;
    expect(Math.min(...starts)).toBeGreaterThan(today - 730);
    expect(Math.max(...starts)).toBeLessThan(today + 190);
  });
});

/** Whatever the amount: nothing contradicts itself. */
function checkWhole(meetings: MeetingView[]): void {
  const byUri = new Map(
    meetings.flatMap(({ invitees }) => invitees.map((invitee) => [invitee.uri, invitee])),
  );
  let previous = 0;
  for (const { event, invitees } of meetings) {
    expect(micros(event.start_time)).toBeGreaterThanOrEqual(previous);
    previous = micros(event.start_time);
    const active = invitees.filter(({ status }) => status === 'active').length;
    expect(event.invitees_counter).toMatchObject({ total: invitees.length, active });
    expect(event.status === 'canceled').toBe(event.cancellation !== undefined);
    // An odd meeting may have its digits cut off.
    expect(micros(event.updated_at) + 1_000_000).toBeGreaterThan(micros(event.created_at));
    expect(micros(event.created_at)).toBeLessThan(Math.min(micros(event.start_time), NOW.getTime() * 1_000));
    for (const invitee of invitees) {
      expect(invitee.status === 'canceled').toBe(invitee.cancellation !== undefined);
      expect(invitee.event).toBe(event.uri);
      if (invitee.new_invitee !== null) {
        expect(byUri.get(invitee.new_invitee)).toMatchObject({ old_invitee: invitee.uri });
      }
      if (invitee.old_invitee !== null) {
        const before = byUri.get(invitee.old_invitee);
        expect(before).toMatchObject({ new_invitee: invitee.uri, rescheduled: true, status: 'canceled' });
        expect(micros(invitee.created_at)).toBeGreaterThan(micros(before?.updated_at ?? ''));
      }
    }
  }
}

describe('times', () => {
  test('a time is parsed from its text to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000_000 }), fc.nat(6), (at, digits) => {
        const step = 10 ** (6 - digits);
        expect(parseInstant(formatInstant(at, digits))).toBe(Math.floor(at / step) * step);
        expect(parseInstant(formatInstant(at, 3))).toBe(Date.parse(formatInstant(at, 3)) * 1_000);
      }),
    );
  });

  test('a text that is not a UTC time is not parsed', () => {
    for (const text of [
      '',
      'now',
      '2026-03-10',
      '2026-02-30T00:00:00Z',
      '2026-03-10T25:00:00Z',
      '2026-03-10T00:00:00',
    ]) {
      expect(parseInstant(text)).toBeNull();
    }
  });

  test('a duration is a whole number of seconds, minutes, hours or days', () => {
    expect(['90s', '30m', '36h', '30d'].map(parseDuration)).toEqual([90e6, 1_800e6, 129_600e6, 2_592_000e6]);
    for (const text of ['', '5', '1.5h', '-3d', 'a while', '5w']) expect(parseDuration(text)).toBeNull();
  });
});
