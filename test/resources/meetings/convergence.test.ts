/** Whatever arrives in which order: the rows end as Calendly describes the meeting. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffMeeting, type Observation, type Stored } from '../../../src/resources/meetings/diff.js';
import { fingerprint } from '../../../src/resources/meetings/fingerprint.js';
import { inviteeRow, meetingRow } from '../../../src/resources/meetings/rows.js';
import { later, SETTLED_AFTER_MS, standingOf } from '../../../src/resources/meetings/standing.js';
import { EVENT_URI, HOST_URI, histories, type Loose, type Snapshot } from './history.js';
import { applyTo, databaseTime, listing, rowsOf, rowsOfSnapshot } from './stored.js';

/** Deliveries and answers to requests, in the order in which they are written. */
const interleavings = (digits: 0 | 6) =>
  histories({ digits, silentMoves: true }).chain((history) => {
    const { snapshots, deliveries } = history;
    const poll = fc.record({
      event: fc.nat({ max: snapshots.length - 1 }),
      invitees: fc.nat({ max: snapshots.length - 1 }),
      /** Writes between the request and the write of its answer. */
      delay: fc.nat({ max: 4 }),
      source: fc.constantFrom('listing' as const, 'request' as const),
    });
    const write = fc.oneof(fc.constantFrom(...deliveries), poll);
    return fc.tuple(fc.constant(history), fc.array(write, { maxLength: 20 }));
  });

for (const [name, digits] of [
  ['microseconds', 6],
  ['whole seconds', 0],
] as const) {
  test(`deliveries and polls in any order end in the rows of the last poll (${name})`, () => {
    fc.assert(
      fc.property(interleavings(digits), ([{ snapshots }, writes]) => {
        const truth = snapshots.at(-1) as Snapshot;
        let stored: Stored | null = null;
        for (const [index, write] of writes.entries()) {
          const observation = 'uri' in write ? write : pollOf(snapshots, write, index);
          stored = applyTo(stored, observation, databaseTime(index * 60));
        }
        const end = databaseTime(writes.length * 60);
        stored = applyTo(stored, listing(truth, end), end);
        expect(rowsOf(stored)).toEqual(rowsOfSnapshot(truth));
        expect(stored?.meeting.fingerprint).toBe(fingerprint(truth.event as { uri: string }));
        expect(diffMeeting(stored, listing(truth, end))).toMatchObject({
          row: null,
          invitees: [],
          removed: [],
        });
      }),
      { numRuns: 500 },
    );
  });
}

interface Poll {
  event: number;
  invitees: number;
  delay: number;
  source: 'listing' | 'request';
}

/** A poll whose event was requested before its invitees. */
function pollOf(snapshots: Snapshot[], { event, invitees, delay, source }: Poll, index: number): Observation {
  const [first = 0, second = 0] = [event, invitees].sort((a, b) => a - b);
  const snapshot = { event: snapshots[first]?.event ?? {}, invitees: snapshots[second]?.invitees ?? [] };
  return listing(snapshot, databaseTime(Math.max(index - delay, 0) * 60 - 1), { source });
}

const anyTime = fc.constantFrom(
  undefined,
  null,
  'soon',
  '2020-01-01T00:00:00Z',
  '2026-02-01T08:00:00.000001Z',
  '2099-01-01T00:00:00.000000Z',
);
const anyState = fc.record(
  {
    status: fc.constantFrom('active', 'canceled', null, 5),
    updated_at: anyTime,
    start_time: anyTime,
    name: fc.jsonValue(),
    location: fc.jsonValue(),
    invitees_counter: fc.jsonValue(),
    event_memberships: fc.jsonValue(),
    cancellation: fc.constantFrom(null, { reason: 'forged', created_at: '2025-01-01T00:00:00Z' }),
    no_show: fc.constantFrom(null, { uri: 'n', created_at: '2026-02-01T08:00:00.000001Z' }),
  },
  { requiredKeys: [] },
);
const anyReason = fc.constantFrom(null, 'canceled', 'gone', 'access_lost', 'reassigned');

/** Whatever may stand in the rows of a meeting. */
const anyStored: fc.Arbitrary<Stored> = fc
  .record({
    event: anyState,
    guests: fc.array(fc.tuple(fc.nat({ max: 3 }), anyState)),
    reason: anyReason,
    isDeleted: fc.boolean(),
    removed: fc.constantFrom(null, '2026-02-01T08:00:00.000001Z', '2099-01-01T00:00:00.000000Z'),
    failures: fc.nat({ max: 3 }),
  })
  .map(({ event, guests, reason, isDeleted, removed, failures }) => {
    const uris = guests.map(([guest]) => `${EVENT_URI}/invitees/GUEST${guest}`);
    const rows = guests.map(([, raw], index) => ({
      ...inviteeRow({ ...raw, uri: uris[index] ?? '' }),
      meeting_id: '1',
    }));
    const meeting = {
      ...meetingRow({ ...event, uri: EVENT_URI }),
      is_deleted: isDeleted,
      deleted_reason: reason,
      id: '1',
      fingerprint: null,
      written_at: databaseTime(0),
      no_shows_removed: removed && Object.fromEntries(uris.map((uri) => [uri, removed])),
      failures,
    };
    return { meeting, invitees: new Map(rows.map((row) => [row.calendly_uri, row])) };
  });

const settledAt = later(databaseTime(0), SETTLED_AFTER_MS);

test('a listing that began ten minutes after the last write ends in its rows, whatever was stored before', () => {
  fc.assert(
    fc.property(anyStored, histories({ digits: 6 }), (before, { snapshots }) => {
      const truth = snapshots.at(-1) as Snapshot;
      const stored = applyTo(before, listing(truth, settledAt), settledAt);
      const [found, expected] = [rowsOf(stored), rowsOfSnapshot(truth)];
      // Keys that Calendly does not send stay in `raw`.
      expect(found).toMatchObject({
        meeting: { ...expected.meeting, raw: {} },
        invitees: expected.invitees.map((row) => ({ ...row, raw: {} })),
      });
      expect(stored?.invitees.size).toBe(truth.invitees.length);
      const again = listing(truth, settledAt);
      expect(diffMeeting(stored, again)).toMatchObject({
        outcome: 'unchanged',
        row: null,
        invitees: [],
        removed: [],
      });
    }),
    { numRuns: 300 },
  );
});

const event = (more: Loose = {}): Loose => ({
  uri: EVENT_URI,
  name: 'Meeting',
  status: 'active',
  updated_at: '2026-02-01T08:00:00Z',
  event_memberships: [{ user: HOST_URI }],
  ...more,
});
const storedEvent = (more: Loose = {}) =>
  applyTo(null, listing({ event: event(more), invitees: [] }, databaseTime(-1)), databaseTime(0)) as Stored;
const alone = (raw: Loose, seconds: number, source: Observation['source'] = 'listing'): Observation => ({
  ...listing({ event: raw, invitees: [] }, databaseTime(seconds), { source }),
  ...(source === 'webhook' ? { requestedAt: null } : {}),
  invitees: null,
});

test('a row that is ahead of Calendly is corrected by a listing ten minutes after it was written, not before', () => {
  const ahead = storedEvent({ updated_at: '2099-01-01T00:00:00Z', name: 'Forged' });
  expect(diffMeeting(ahead, alone(event(), 599))).toMatchObject({ row: null, outcome: 'unchanged' });
  expect(diffMeeting(ahead, alone(event(), 600))).toMatchObject({
    row: { title: 'Meeting' },
    outcome: 'updated',
  });
});

test('a canceled event is restored only by a listing ten minutes later', () => {
  const cancellation = { reason: 'ill', created_at: '2026-02-01T09:00:00Z' };
  const canceled = storedEvent({ status: 'canceled', cancellation });
  const active = event({ updated_at: '2026-02-01T10:00:00Z' });
  for (const source of ['listing', 'request', 'webhook'] as const)
    expect(diffMeeting(canceled, alone(active, 599, source)), source).toMatchObject({ row: null });
  for (const source of ['request', 'webhook'] as const)
    expect(diffMeeting(canceled, alone(active, 600, source)), source).toMatchObject({ row: null });
  const { meeting } = canceled;
  expect(diffMeeting(canceled, alone(active, 600))).toMatchObject({
    outcome: 'restored',
    before: { is_deleted: true, deleted_reason: 'canceled', status: 'canceled', title: meeting.title },
    after: { is_deleted: false, deleted_reason: null, status: 'active', title: 'Meeting' },
  });
});

test('of two states with the same updated_at, the answer to a later request is stored', () => {
  const known = storedEvent({ location: { type: 'zoom', status: 'initiated' } });
  const pushed = event({ location: { type: 'zoom', status: 'pushed', join_url: 'https://zoom.example/1' } });
  expect(diffMeeting(known, alone(pushed, 1))?.row?.join_url).toBe('https://zoom.example/1');
  expect(diffMeeting(known, alone(pushed, -1))?.row).toBeNull();
});

test('a meeting that is gone, not accessible or reassigned is restored only by a listing that contains it', () => {
  for (const deleted_reason of ['gone', 'access_lost', 'reassigned']) {
    const before = storedEvent();
    Object.assign(before.meeting, { is_deleted: true, deleted_at: databaseTime(0), deleted_reason });
    for (const source of ['request', 'webhook'] as const) {
      const newer = event({ updated_at: '2026-02-01T10:00:00Z', name: 'Newer' });
      const diff = diffMeeting(before, alone(newer, 1_000, source));
      expect(diff).toMatchObject({
        outcome: 'updated',
        row: { title: 'Newer', is_deleted: true, deleted_reason },
      });
    }
    expect(diffMeeting(before, alone(event(), 1))).toMatchObject({
      outcome: 'restored',
      row: { is_deleted: false, deleted_at: null, deleted_reason: null },
    });
  }
});

test('an answer that is older than a stored invitee leaves the event to be read again', () => {
  const guest = { uri: `${EVENT_URI}/invitees/G`, status: 'active', updated_at: '2099-01-01T00:00:00Z' };
  const raw = event();
  const before = applyTo(null, listing({ event: raw, invitees: [guest] }, databaseTime(-1)), databaseTime(0));
  const real = { ...guest, updated_at: '2026-02-01T08:00:00Z', email: 'a@example.com' };
  const early = diffMeeting(before, listing({ event: raw, invitees: [real] }, databaseTime(599)));
  expect(early).toMatchObject({ invitees: [], mark: { fingerprint: null, changed: false } });
  const settled = diffMeeting(before, listing({ event: raw, invitees: [real] }, databaseTime(600)));
  expect(settled?.invitees).toMatchObject([{ email: 'a@example.com' }]);
  expect(settled?.mark?.fingerprint).not.toBeNull();
});

test('a request is settled ten minutes after the last write, and contested if the write came later', () => {
  const at = databaseTime(0);
  expect(standingOf(null, at)).toBe('settled');
  expect(standingOf(at, later(at, SETTLED_AFTER_MS))).toBe('settled');
  expect(standingOf(at, later(at, SETTLED_AFTER_MS - 1))).toBe('recent');
  expect(standingOf(at, at)).toBe('recent');
  expect(standingOf('2026-01-01T00:00:00.000002Z', '2026-01-01T00:00:00.000001Z')).toBe('contested');
  expect(later('2026-01-01T00:00:00.123456Z', 1_000.9)).toBe('2026-01-01T00:00:01.123456Z');
});
