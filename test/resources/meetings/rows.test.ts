import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseEvent } from '../../../src/calendly/schemas.js';
import { fingerprint, hasInvitees } from '../../../src/resources/meetings/fingerprint.js';
import { compareTimes, mergeNewer, mergePolled } from '../../../src/resources/meetings/merge.js';
import { externalId, meetingRow, sameJson, sameRow } from '../../../src/resources/meetings/rows.js';

const URI = 'https://api.calendly.com/scheduled_events/AAAAAAAAAAAAAAAA';
const event = (more: object) => ({ uri: URI, status: 'active', ...more });

test('merging a newer state keeps the keys it lacks and takes the ones it has, null included', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (known, next) => {
        const { status: _a, cancellation: _b, event_memberships: _c, ...before } = known;
        const { status: _d, cancellation: _e, event_memberships: _f, ...after } = next;
        const merged = mergeNewer(before, after);
        for (const key of Object.keys(before))
          expect(merged[key]).toEqual(Object.hasOwn(after, key) ? after[key] : before[key]);
        for (const key of Object.keys(after)) expect(merged[key]).toEqual(after[key]);
        expect(sameJson(mergeNewer(merged, after), merged)).toBe(true);
      },
    ),
  );
});

test("merging a newer state keeps the hosts' buffered times that a webhook's event lacks", () => {
  const known = event({ event_memberships: [{ user: 'u1', buffered_start_time: 'x' }, { user: 'u2' }] });
  const merged = mergeNewer(known, event({ event_memberships: [{ user: 'u1', user_name: 'Ada' }] }));
  expect(merged.event_memberships).toEqual([{ user: 'u1', buffered_start_time: 'x', user_name: 'Ada' }]);
});

test('merging a newer state removes a cancellation only if the event is no longer canceled', () => {
  const canceled = event({ status: 'canceled', cancellation: { canceled_by: 'Ada' } });
  expect(mergeNewer(canceled, event({}))).not.toHaveProperty('cancellation');
  expect(mergeNewer(canceled, event({ status: 'canceled' }))).toHaveProperty('cancellation');
});

test('a polled state replaces an older one, or one of the same age that was not written meanwhile', () => {
  const [older, known, newer] = [1, 2, 3].map((day) => event({ updated_at: `2026-01-0${day}T00:00:00Z` }));
  const states = { older: older ?? {}, same: { ...known, name: 'x' }, newer: newer ?? {} };
  for (const standing of ['contested', 'recent'] as const) {
    expect(mergePolled(known ?? {}, states.older, standing)).toBeNull();
    expect(mergePolled(known ?? {}, states.newer, standing)).toEqual(newer);
    expect(mergePolled(null, states.older, standing)).toBe(older);
  }
  expect(mergePolled(known ?? {}, states.same, 'recent')).toEqual(states.same);
  expect(mergePolled(known ?? {}, states.same, 'contested')).toBeNull();
});

test('odd data never makes a row fail: what cannot be used becomes null, and raw is kept', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()), (odd) => {
      const raw = { ...odd, uri: URI };
      const row = meetingRow(raw);
      expect(row.raw).toBe(raw);
      expect(row.external_id).toBe('AAAAAAAAAAAAAAAA');
      for (const time of [row.start_time, row.end_time, row.calendly_updated_at]) {
        if (time !== null) expect(time).toMatch(/^\d{4}-.{15}\.\d{6}Z$/);
      }
    }),
  );
});

test('parsing an event reports each invalid field, and only those', () => {
  expect(parseEvent(event({ name: 5, start_time: 'soon' }))?.issues).toEqual([
    expect.stringContaining('name'),
    expect.stringContaining('start_time'),
  ]);
  expect(parseEvent(event({ location: { type: 'hologram' }, name: null }))?.issues).toEqual([]);
  expect(parseEvent({ name: 'no uri' })).toBeNull();
});

test('a canceled meeting is deleted at the time of its cancellation, or else of its last change', () => {
  const updated_at = '2026-01-02T00:00:00.000001Z';
  const cancellation = { created_at: '2026-01-01T00:00:00Z' };
  const withTime = event({ status: 'canceled', updated_at, cancellation });
  expect(meetingRow(withTime).deleted_at).toBe('2026-01-01T00:00:00.000000Z');
  const withoutTime = event({ status: 'canceled', updated_at, cancellation: {} });
  expect(meetingRow(withoutTime).deleted_at).toBe(updated_at);
});

test('two rows are the same in any order of keys, and differ if a value differs', () => {
  const row = meetingRow(event({ location: { type: 'custom', location: 'x' } }));
  expect(sameRow(row, { ...row, location: { location: 'x', type: 'custom' }, id: 7 })).toBe(true);
  expect(sameRow(row, { ...row, title: 'other' })).toBe(false);
  expect(sameJson(-0, 0)).toBe(true);
});

test('times are compared to the microsecond, and a missing or invalid time is not older', () => {
  const time = '2026-01-01T00:00:00.1Z';
  expect(compareTimes('2026-01-01T00:00:00.000001Z', '2026-01-01T00:00:00.000002Z')).toBe(-1);
  expect(compareTimes(time, '2026-01-01T00:00:00.100000Z')).toBe(0);
  expect(compareTimes(undefined, time)).toBe(0);
  expect(compareTimes(5, time)).toBe(0);
});

test('the fingerprint changes with status, time and counters, and with nothing else', () => {
  const base = {
    uri: URI,
    status: 'active',
    updated_at: '2026-01-01T00:00:00Z',
    invitees_counter: { total: 2, active: 2 },
  };
  const same = { ...base, updated_at: '2026-01-01T00:00:00.000000Z', name: 'x', location: { type: 'zoom' } };
  expect(fingerprint(same)).toBe(fingerprint(base));
  for (const change of [
    { status: 'canceled' },
    { updated_at: '2026-01-01T00:00:00.000001Z' },
    { invitees_counter: { total: 3, active: 2 } },
    { invitees_counter: { total: 2, active: 1 } },
  ]) {
    expect(fingerprint({ ...base, ...change })).not.toBe(fingerprint(base));
  }
});

test('only an event that never had an invitee has none to read', () => {
  expect(hasInvitees({ uri: URI, invitees_counter: { total: 0, active: 0 } })).toBe(false);
  expect(hasInvitees({ uri: URI })).toBe(true);
});

test('an external id is the last segment of the URI, whatever its form', () => {
  expect(externalId(URI)).toBe('AAAAAAAAAAAAAAAA');
  expect(externalId('https://api.calendly.com/scheduled_events/f3b5a1de-0000-4000-8000-000000000000/')).toBe(
    'f3b5a1de-0000-4000-8000-000000000000',
  );
});

const FIELDS = [
  'name',
  'status',
  'start_time',
  'end_time',
  'event_type',
  'location',
  'invitees_counter',
  'created_at',
  'updated_at',
  'event_memberships',
  'event_guests',
  'cancellation',
];
