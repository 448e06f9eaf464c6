/** Deliveries of one meeting lead to the same rows in any order, and never undo what only a poll knows. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Observation, Stored } from '../../../src/resources/meetings/diff.js';
import { foldObservations } from '../../../src/resources/meetings/fold.js';
import { mergeEvent, mergeInvitee } from '../../../src/resources/meetings/merge.js';
import { EVENT_URI, type History, histories, type Loose } from './history.js';
import { applyTo, databaseTime, listing, rowsOf, written } from './stored.js';

function rowsAfter(deliveries: History['deliveries']) {
  return rowsOf(
    deliveries.reduce<Stored | null>(
      (stored, delivery, index) => applyTo(stored, delivery, databaseTime(index)),
      null,
    ),
  );
}

function pick(stored: Stored | null) {
  return { fingerprint: stored?.meeting.fingerprint, failures: stored?.meeting.failures };
}

const PRECISIONS = [
  ['microseconds', 6],
  ['whole seconds', 0],
] as const;

for (const [name, digits] of PRECISIONS) {
  const shuffledDeliveries = histories({ digits }).chain(({ deliveries }) =>
    fc.tuple(
      fc.constant(deliveries),
      fc.shuffledSubarray([...deliveries, ...deliveries], { minLength: deliveries.length * 2 }),
    ),
  );

  test(`deliveries in any order, each of them twice, lead to the rows of the right order (${name})`, () => {
    fc.assert(
      fc.property(shuffledDeliveries, ([inOrder, shuffled]) => {
        expect(rowsAfter(shuffled)).toEqual(rowsAfter(inOrder));
      }),
      { numRuns: 500 },
    );
  });

  test(`a group of deliveries of one meeting is written as one after the other would be (${name})`, () => {
    fc.assert(
      fc.property(shuffledDeliveries, fc.nat({ max: 4 }), ([, deliveries], before) => {
        const one = (stored: Stored | null, delivery: Observation) =>
          applyTo(stored, delivery, databaseTime(0));
        const start = deliveries.slice(0, before).reduce(one, null);
        const rest = deliveries.slice(before);
        const { write } = foldObservations(start, rest);
        const after = rest.reduce(one, start);
        expect(rowsOf(write && written(start, write, databaseTime(0)))).toEqual(write && rowsOf(after));
        const { fingerprint, failures, no_shows_removed: removed } = write?.mark ?? {};
        if (write?.mark) expect({ fingerprint, failures }).toEqual(pick(after));
        if (removed) expect(removed).toEqual(after?.meeting.no_shows_removed);
      }),
      { numRuns: 500 },
    );
  });

  test(`the last delivery of a meeting decides its counters and status (${name})`, () => {
    fc.assert(
      fc.property(histories({ digits }), ({ deliveries }) => {
        const last = deliveries.at(-1)?.event;
        const raw = rowsAfter(deliveries)?.meeting.raw;
        expect(raw?.invitees_counter).toEqual(last?.invitees_counter);
        expect(raw?.status).toBe(last?.status);
      }),
    );
  });

  test(`merging states of an event is associative (${name})`, () => {
    const three = histories({ digits }).chain(({ deliveries }) => {
      const state = fc.constantFrom(...deliveries.map(({ event }) => event as Loose));
      return fc.tuple(state, state, state);
    });
    fc.assert(
      fc.property(three, ([a, b, c]) => {
        expect(mergeEvent(mergeEvent(a, b), c)).toEqual(mergeEvent(a, mergeEvent(b, c)));
        expect(mergeEvent(a, b)).toEqual(mergeEvent(b, a));
        expect(mergeEvent(a, a)).toEqual(a);
      }),
    );
  });

  test(`deliveries that arrive again after a poll change nothing (${name})`, () => {
    const cases = histories({ digits, silentMoves: true }).chain((history) =>
      fc.tuple(
        fc.constant(history),
        fc.shuffledSubarray(history.deliveries, { minLength: history.deliveries.length }),
      ),
    );
    fc.assert(
      fc.property(cases, ([{ snapshots, deliveries }, again]) => {
        let stored: Stored | null = null;
        for (const [index, delivery] of deliveries.entries())
          stored = applyTo(stored, delivery, databaseTime(index));
        const last = snapshots.at(-1);
        if (last) stored = applyTo(stored, listing(last, databaseTime(1_000)), databaseTime(1_001));
        const polled = rowsOf(stored);
        for (const delivery of again) stored = applyTo(stored, delivery, databaseTime(1_002));
        expect(rowsOf(stored)).toEqual(polled);
      }),
    );
  });
}

const marked = { uri: 'n', created_at: '2026-01-02T00:00:00.500000Z' };
const guest = (more: object) => ({
  uri: `${EVENT_URI}/invitees/G`,
  status: 'active',
  updated_at: '2026-01-01T00:00:00.000000Z',
  no_show: null,
  ...more,
});

test('a late retry of invitee.created clears no no-show mark', () => {
  const merged = mergeInvitee({ raw: guest({ no_show: marked }), noShowRemovedAt: null }, guest({}), null);
  expect(merged.raw?.no_show).toEqual(marked);
});

test('a no-show mark is removed by a delivery of the same second, whose time is in whole seconds', () => {
  const known = { raw: guest({ no_show: marked }), noShowRemovedAt: null };
  const removed = mergeInvitee(known, guest({}), '2026-01-02T00:00:00.000000Z');
  expect(removed.raw?.no_show).toBeNull();
  expect(mergeInvitee(removed, guest({ no_show: marked }), null).raw?.no_show).toBeNull();
});

test('a no-show mark that a poll found removed is not set again by a late delivery', () => {
  const event = { uri: EVENT_URI, status: 'active', updated_at: '2026-01-01T00:00:00Z' };
  const mark = guest({ no_show: marked });
  let stored = applyTo(null, listing({ event, invitees: [mark] }, databaseTime(0)), databaseTime(1));
  stored = applyTo(stored, listing({ event, invitees: [guest({})] }, databaseTime(2)), databaseTime(3));
  const late = { uri: EVENT_URI, event, invitees: [mark], source: 'webhook', requestedAt: null } as const;
  stored = applyTo(stored, { ...late, invitees: [mark] }, databaseTime(4));
  expect([...(stored?.invitees.values() ?? [])][0]?.no_show_at).toBeNull();
  stored = applyTo(stored, listing({ event, invitees: [mark] }, databaseTime(5)), databaseTime(6));
  stored = applyTo(stored, { ...late, invitees: [guest({})] }, databaseTime(7));
  expect([...(stored?.invitees.values() ?? [])][0]?.no_show_at).toBe(marked.created_at);
});

test('a conference link that is added without moving updated_at is kept against a late delivery without it', () => {
  const location = { type: 'zoom', status: 'initiated', join_url: null };
  const event = { uri: EVENT_URI, status: 'active', updated_at: '2026-01-01T00:00:00Z', location };
  const pushed = {
    ...event,
    location: { ...location, status: 'pushed', join_url: 'https://zoom.example/1' },
  };
  expect(mergeEvent(pushed, event)).toEqual(pushed);
  expect(mergeEvent(event, pushed)).toEqual(pushed);
});

test('a key called __proto__ is a key like any other', () => {
  const odd = JSON.parse('{"uri":"u","status":"active","__proto__":{"polluted":true}}') as Loose;
  for (const merged of [mergeEvent({ uri: 'u', status: 'active' }, odd), mergeEvent(odd, { uri: 'u' })]) {
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(Object.hasOwn(merged, '__proto__')).toBe(true);
    expect((merged as { polluted?: boolean }).polluted).toBeUndefined();
  }
  const uri = '__proto__';
  const event = { uri: EVENT_URI, status: 'active' };
  const removal = { uri: EVENT_URI, event, source: 'webhook', requestedAt: null } as const;
  const at = '2026-01-02T00:00:01.000001Z';
  let stored = applyTo(
    null,
    { ...removal, invitees: [guest({ uri })], noShowRemovedAt: at },
    databaseTime(0),
  );
  stored = applyTo(stored, { ...removal, invitees: [guest({ uri, no_show: marked })] }, databaseTime(1));
  expect(Object.getPrototypeOf(stored?.meeting.no_shows_removed)).toBe(Object.prototype);
  expect(stored?.invitees.get(uri)?.no_show_at).toBeNull();
});
