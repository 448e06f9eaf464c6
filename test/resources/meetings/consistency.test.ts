/** What an answer may remove. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { meetingChange } from '../../../src/resources/meetings/changes.js';
import {
  checkInvitees,
  isImplausiblyShort,
  isNotFoundFinal,
  MAX_DISAGREEMENTS,
} from '../../../src/resources/meetings/consistency.js';
import { diffMeeting, type MeetingDiff, type Stored } from '../../../src/resources/meetings/diff.js';
import { EVENT_URI, histories, type Snapshot } from './history.js';
import { applyTo, databaseTime, listing, rowsOf, rowsOfSnapshot } from './stored.js';

const event = (total?: number, active?: number, status = 'active') => ({
  uri: EVENT_URI,
  status,
  updated_at: '2026-02-01T08:00:00Z',
  ...(total === undefined ? {} : { invitees_counter: { total, active } }),
});
const guests = (...states: string[]) =>
  states.map((status, index) => ({ uri: `${EVENT_URI}/invitees/${index}`, status }));

test('invitees agree with their event if both counters and the status say so', () => {
  const reasonOf = (...args: [object, object[]]) =>
    checkInvitees(args[0] as never, args[1] as never, 0).reason;
  expect(reasonOf(event(2, 1), guests('active', 'canceled'))).toBeNull();
  expect(reasonOf(event(2, 2), guests('active'))).toMatch('1 of 2 invitees');
  expect(reasonOf(event(1, 1), guests('active', 'active'))).toMatch('2 of 1 invitees');
  expect(reasonOf(event(2, 1), guests('active', 'active'))).toMatch('2 active invitees instead of 1');
  expect(reasonOf(event(1, 0, 'canceled'), guests('active'))).toMatch('canceled');
  expect(reasonOf(event(undefined, undefined, 'canceled'), guests('active'))).toMatch('canceled');
  expect(reasonOf(event(1, 1), [...guests('active'), ...guests('active')])).toBeNull();
});

test('an event without counters cannot be contradicted by their number', () => {
  for (const counter of [
    undefined,
    null,
    {},
    { total: 'many', active: -1 },
    { total: null, active: null },
    [1],
  ]) {
    const odd = { ...event(), invitees_counter: counter };
    expect(checkInvitees(odd, guests('active'), 0)).toEqual({
      reason: null,
      believed: true,
      disagreements: 0,
    });
  }
  expect(checkInvitees(null, guests('active'), 2).believed).toBe(true);
});

/** Answers that are complete, short, stale or empty, against a stored history of the event. */
const answers = histories({ digits: 6 }).chain(({ snapshots }) => {
  const any = fc.constantFrom(...snapshots);
  return fc.record({
    stored: any,
    listed: any,
    answered: any.chain(({ invitees }) => fc.shuffledSubarray(invitees)),
  });
});

test('an answer that contradicts its event removes nothing and is read again; the third is accepted', () => {
  fc.assert(
    fc.property(answers, ({ stored, listed, answered }) => {
      const before = applyTo(null, listing(stored, databaseTime(-1)), databaseTime(0));
      const observation = (seconds: number) =>
        listing({ event: listed.event, invitees: answered }, databaseTime(seconds));
      const { reason } = checkInvitees(listed.event, answered, 0);
      let current = before;
      for (let run = 1; run <= MAX_DISAGREEMENTS; run++) {
        const diff = diffMeeting(current, observation(run));
        const isAccepted = reason === null || run === MAX_DISAGREEMENTS;
        if (!isAccepted) {
          expect(diff).toMatchObject({ removed: [], warning: null });
          expect(diff?.mark).toMatchObject({ fingerprint: null, read: false, failures: run });
        } else {
          expect(diff?.warning).toBe(reason);
          expect(diff?.mark).toMatchObject({ read: true, failures: 0 });
          const kept = new Set(answered.map(({ uri }) => uri));
          const gone = [...(current?.invitees.keys() ?? [])].filter((uri) => !kept.has(uri));
          expect(diff?.removed).toEqual(gone);
        }
        current = applyTo(current, observation(run), databaseTime(run));
        if (isAccepted) break;
      }
    }),
    { numRuns: 300 },
  );
});

test('wrong answers in between lose no invitee, and the next right one ends in the right rows', () => {
  const cases = histories({ digits: 6 }).chain(({ snapshots }) => {
    const truth = snapshots.at(-1) as Snapshot;
    const wrong = fc.shuffledSubarray(truth.invitees, { maxLength: truth.invitees.length - 1 });
    return fc.tuple(fc.constant(truth), fc.array(wrong, { maxLength: 2 }));
  });
  fc.assert(
    fc.property(cases, ([truth, wrong]) => {
      let stored: Stored | null = applyTo(null, listing(truth, databaseTime(0)), databaseTime(1));
      for (const [index, invitees] of wrong.entries()) {
        const at = databaseTime(2 + index);
        stored = applyTo(stored, listing({ ...truth, invitees }, at), at);
        expect(rowsOf(stored)).toEqual(rowsOfSnapshot(truth));
        expect(stored?.meeting.fingerprint).toBeNull();
      }
      stored = applyTo(stored, listing(truth, databaseTime(9)), databaseTime(9));
      expect(rowsOf(stored)).toEqual(rowsOfSnapshot(truth));
      expect(stored?.meeting.fingerprint).not.toBeNull();
    }),
  );
});

test('an answer that is older than the last write of the meeting is neither believed nor counted', () => {
  const before = applyTo(
    null,
    listing({ event: event(1, 1), invitees: guests('active') }, databaseTime(-1)),
    databaseTime(0),
  );
  const diff = diffMeeting(before, listing({ event: event(1, 1), invitees: [] }, databaseTime(-1)));
  expect(diff).toMatchObject({
    removed: [],
    warning: null,
    mark: { fingerprint: null, read: false, failures: 0 },
  });
});

test('an empty answer on a first reading is stored as it is, and read again', () => {
  const diff = diffMeeting(null, listing({ event: event(1, 1), invitees: [] }, databaseTime(0)));
  expect(diff).toMatchObject({ outcome: 'new', mark: { fingerprint: null, read: false, failures: 1 } });
});

test('a listing is implausibly short if over 20 meetings and over 30 % of a window are not listed', () => {
  const short = (stored: number, unlisted: number) =>
    isImplausiblyShort({ initial: false, listed: stored - unlisted, stored, unlisted });
  expect(short(21, 21)).toBe(true);
  expect(short(20, 20)).toBe(false);
  expect(short(100, 31)).toBe(true);
  expect(short(100, 30)).toBe(false);
  expect(short(0, 0)).toBe(false);
});

test('a first listing without any event is implausibly short', () => {
  const first = (listed: number) => isImplausiblyShort({ initial: true, listed, stored: 0, unlisted: 0 });
  expect(first(0)).toBe(true);
  expect(first(1)).toBe(false);
});

test('a 404 is not final within ten minutes of the creation at Calendly or of a delivery', () => {
  const now = databaseTime(1_000);
  const [young, old] = [databaseTime(401), databaseTime(400)];
  expect(isNotFoundFinal(now, { createdAt: young, deliveredAt: null })).toBe(false);
  expect(isNotFoundFinal(now, { createdAt: old, deliveredAt: young })).toBe(false);
  expect(isNotFoundFinal(now, { createdAt: old, deliveredAt: old })).toBe(true);
  expect(isNotFoundFinal(now, { createdAt: null, deliveredAt: null })).toBe(true);
  expect(isNotFoundFinal(now, { createdAt: databaseTime(1_100), deliveredAt: null })).toBe(false);
  expect(isNotFoundFinal(now, { createdAt: databaseTime(9_000), deliveredAt: null })).toBe(true);
});

test('only a meeting that changed is reported, with what changed: its row, or only its invitees', () => {
  const change = (diff: MeetingDiff | null, wrote = 0) => {
    if (diff === null) throw new Error('the meeting is known');
    const invitees = { new: 0, updated: wrote, removed: 0 };
    return meetingChange({ ...diff, uri: 'E', userId: '1', meetingId: '7', invitees }, 'poll');
  };
  const at = databaseTime(0);
  const snapshot = { event: event(1, 1), invitees: guests('active') };
  const created = diffMeeting(null, listing(snapshot, at));
  expect(change(created)).toEqual({
    type: 'meeting',
    outcome: 'new',
    meetingId: '7',
    before: null,
    after: { title: null, start_time: null, status: 'active', is_deleted: false, deleted_reason: null },
    source: 'poll',
  });
  const stored = applyTo(null, listing(snapshot, at), at);
  const unchanged = diffMeeting(stored, listing(snapshot, at));
  expect(change(unchanged)).toBeNull();
  expect(change(unchanged, 1)).toMatchObject({ outcome: 'invitees', meetingId: '7' });
});
