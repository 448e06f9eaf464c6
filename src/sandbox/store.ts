/**
 * All meetings of the sandbox in the order of listings: the generated ones, made when asked for, and those that were
 * booked or changed since, which are kept. Knows no HTTP and no chance.
 */
import type { Generated } from './generated.js';
import { comparePlaces, isHostedBy, type Meeting, meetingId, type Place, placeOf } from './meeting.js';
import { parseInstant } from './microseconds.js';

/** Which meetings a walk passes. Starts are inclusive unless said otherwise. */
interface Walk {
  /** Only meetings of these users; null for all. */
  hosts: ReadonlySet<string> | null;
  /** Only places after (or, backward, before) this one. */
  beyond?: Place | null;
  backward?: boolean;
}

export interface Store {
  /** The meeting with this id, hidden ones too. What it hands out must not be changed. */
  find(id: string): Meeting | null;
  /** Changes a meeting and puts it where its start now belongs. */
  change(id: string, alter: (meeting: Meeting) => void): Meeting | null;
  /** Adds a new meeting; its sequence is given here. */
  add(meeting: Omit<Meeting, 'sequence'>): Meeting;
  /** Visible meetings in the order of listings. */
  walk(walk: Walk): IterableIterator<Meeting>;
}

/** Makes a store over the generated meetings. */
export function createStore(generated: Generated): Store {
  /** Kept meetings by id, and in order; `moved` are the generated numbers among them. */
  const kept = new Map<string, Meeting>();
  const ordered: Meeting[] = [];
  const moved = new Set<number>();
  let nextSequence = generated.count;

  const insert = (meeting: Meeting) => {
    meeting.start = parseInstant(meeting.event.start_time) ?? meeting.start;
    kept.set(meetingId(meeting), meeting);
    ordered.splice(firstAfter(ordered, placeOf(meeting)), 0, meeting);
  };

  return {
    find(id) {
      const own = kept.get(id);
      if (own) return own;
      const number = generated.numberOf(id);
      return number === null ? null : generated.meeting(number);
    },
    change(id, alter) {
      const meeting = kept.get(id);
      if (meeting) {
        alter(meeting);
        // Its place is still the old one: `insert` reads the new start.
        ordered.splice(firstAfter(ordered, placeOf(meeting)) - 1, 1);
        insert(meeting);
        return meeting;
      }
      const number = generated.numberOf(id);
      if (number === null) return null;
      const made = generated.meeting(number);
      alter(made);
      moved.add(number);
      insert(made);
      return made;
    },
    add(meeting) {
      const added = { ...meeting, sequence: nextSequence++ };
      insert(added);
      return added;
    },
    walk: (walk) =>
      merge(walkGenerated(generated, moved, walk), walkKept(ordered, walk), walk.backward === true),
  };
}

/** The first index in the ordered list that stands after the place. */
function firstAfter(ordered: readonly Meeting[], place: Place): number {
  return bisect(ordered.length, (index) => comparePlaces(placeOf(ordered[index] as Meeting), place) > 0);
}

/** The smallest index in [0, length] from which on `holds` is true. */
function bisect(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Indexes of an ordered list beyond the walk's place, in its direction. */
function* indexes(
  length: number,
  compareAt: (index: number, place: Place) => number,
  { beyond, backward }: Walk,
) {
  if (backward) {
    const end = beyond ? bisect(length, (index) => compareAt(index, beyond) >= 0) : length;
    for (let index = end - 1; index >= 0; index--) yield index;
  } else {
    const from = beyond ? bisect(length, (index) => compareAt(index, beyond) > 0) : 0;
    for (let index = from; index < length; index++) yield index;
  }
}

function* walkGenerated(generated: Generated, moved: ReadonlySet<number>, walk: Walk) {
  const compareAt = (number: number, place: Place) =>
    comparePlaces([generated.startOf(number), number], place);
  for (const number of indexes(generated.count, compareAt, walk)) {
    if (moved.has(number) || (walk.hosts && !generated.isHostedBy(number, walk.hosts))) continue;
    yield generated.meeting(number);
  }
}

function* walkKept(ordered: readonly Meeting[], walk: Walk) {
  const compareAt = (index: number, place: Place) => comparePlaces(placeOf(ordered[index] as Meeting), place);
  for (const index of indexes(ordered.length, compareAt, walk)) {
    const meeting = ordered[index] as Meeting;
    if (meeting.visibility !== 'visible') continue;
    if (walk.hosts && ![...walk.hosts].some((user) => isHostedBy(meeting, user))) continue;
    yield meeting;
  }
}

/** Two ordered walks as one. */
function* merge(
  one: Iterator<Meeting>,
  other: Iterator<Meeting>,
  backward: boolean,
): IterableIterator<Meeting> {
  const sign = backward ? -1 : 1;
  let a = one.next();
  let b = other.next();
  while (!a.done || !b.done) {
    if (b.done || (!a.done && comparePlaces(placeOf(a.value), placeOf(b.value)) * sign < 0)) {
      yield a.value as Meeting;
      a = one.next();
    } else {
      yield b.value;
      b = other.next();
    }
  }
}
