/** What a reading makes of what is stored: which row, which invitees, and what to remember of the reading. Pure. */

import type { Json } from '../../database/table.js';
import type { ReadMark } from '../../database/tables/event-reads.js';
import type { InviteeRow, StoredInvitee } from '../../database/tables/invitees.js';
import type { MeetingRow, StoredMeeting } from '../../database/tables/meetings.js';
import { mergeEvent, mergeInvitee } from './merge.js';
import { inviteeRow, isOlder, meetingRow, mergeRaw, sameRow } from './rows.js';

/** One reading of one meeting. */
export interface Reading {
  /** The event's URI. */
  uri: string;
  /** The event as it was read; null when only its invitees were. */
  event: Json | null;
  /** Invitees that were read; null when none were asked for. */
  invitees: Json[] | null;
  /** `invitees` are all that the event has: stored ones that are not among them are gone. */
  complete: boolean;
  /** Fingerprint of the event that the invitees belong to; null leaves it to the next listing. */
  fingerprint: string | null;
  /** Database time before the event was asked for, and before its invitees were. */
  eventSeenAt: string;
  inviteesSeenAt: string;
  /** Set for a webhook's delivery, which may be late: its content decides what it still has to say, not when it came. */
  delivery?: {
    /** When a no-show mark of its invitee was taken back; null when it does not tell of that. */
    noShowRemovedAt: string | null;
  };
}

/** What became of a meeting's row. `unknown`: its event was not part of the reading. */
export type MeetingOutcome =
  | 'new'
  | 'recorded_canceled'
  | 'updated'
  | 'deleted'
  | 'restored'
  | 'unchanged'
  | 'unknown';

/** What is stored of one meeting, under the lock of its row. */
export interface Stored {
  meeting: StoredMeeting;
  invitees: ReadonlyMap<string, StoredInvitee>;
}

/** What a reading changes. */
export interface Change {
  /** The meeting's row to write; null leaves the row alone. */
  row: MeetingRow | null;
  outcome: MeetingOutcome;
  /** Rows of invitees to write, and how many of them are new. */
  invitees: InviteeRow[];
  added: number;
  /** URIs of stored invitees that are gone. */
  removed: string[];
  /** What to remember of this reading; null: nothing that would make a reading under way look again. */
  mark: ReadMark | null;
}

const foreseen = new WeakMap<Reading, Change>();

/** Works out what a reading changes where nothing is stored, before it is known whether that is so: while the database is busy. */
export function foresee(reading: Reading): void {
  const change = changesOf(null, reading);
  if (change) foreseen.set(reading, change);
}

/** What a reading changes in what is stored; null when it tells of no event and none is stored. */
export function changesOf(stored: Stored | null, reading: Reading): Change | null {
  if (stored === null && reading.event === null) return null;
  const ready = stored === null ? foreseen.get(reading) : undefined;
  if (ready) return ready;
  const known = stored?.meeting ?? null;
  const { row, outcome } = known ? changeOf(known, reading) : newRow(reading.event as Json);
  const contested = known?.written_at != null && known.written_at > reading.inviteesSeenAt;
  const ofMeeting = stored?.invitees ?? new Map<string, StoredInvitee>();
  const invitees = reading.delivery
    ? deliveredInvitees(ofMeeting, reading, known?.no_shows_removed ?? {})
    : { ...inviteeChanges(ofMeeting, reading, contested), noShowsRemoved: null };
  const { rows, added, removed, noShowsRemoved } = invitees;
  // A delivery that changes nothing leaves no mark: a reading under way is not contested by it.
  const quiet = reading.delivery && known && row === null && rows.length === 0 && noShowsRemoved === null;
  const mark = { fingerprint: markOf(reading, known, contested), read: reading.complete, noShowsRemoved };
  return { row, outcome, invitees: rows, added, removed, mark: quiet ? null : mark };
}

function newRow(event: Json): { row: MeetingRow; outcome: MeetingOutcome } {
  const row = meetingRow(event);
  return { row, outcome: row.is_deleted ? 'recorded_canceled' : 'new' };
}

/** What a reading makes of a stored meeting: the row to write, if any, and what to call it. */
export function changeOf(
  known: StoredMeeting,
  reading: Pick<Reading, 'event' | 'eventSeenAt' | 'delivery'>,
): { row: MeetingRow | null; outcome: MeetingOutcome } {
  const { event } = reading;
  if (event === null) return { row: null, outcome: 'unknown' };
  if (reading.delivery) return written(known, deliveredRow(known, event));
  if (known.raw !== null && isOlder(event, known.raw)) return { row: null, outcome: 'unchanged' };
  const contested = known.written_at !== null && known.written_at > reading.eventSeenAt;
  // Same age as what somebody wrote after we had read: theirs is the later look at the same state.
  if (contested && known.raw !== null && !isOlder(known.raw, event))
    return { row: null, outcome: 'unchanged' };
  return written(known, meetingRow(mergeRaw(known.raw, event)));
}

function written(known: StoredMeeting, row: MeetingRow): { row: MeetingRow | null; outcome: MeetingOutcome } {
  if (sameRow(row, known)) return { row: null, outcome: 'unchanged' };
  if (row.is_deleted === known.is_deleted) return { row, outcome: 'updated' };
  return { row, outcome: row.is_deleted ? 'deleted' : 'restored' };
}

/** What a delivery makes of a stored meeting. One that Calendly itself called gone or lost is brought back by a listing only. */
function deliveredRow(known: StoredMeeting, event: Json): MeetingRow {
  const row = meetingRow(mergeEvent(known.raw, event));
  const { is_deleted, deleted_at, deleted_reason } = known;
  const lost = deleted_reason === 'gone' || deleted_reason === 'access_lost';
  return lost ? { ...row, is_deleted, deleted_at, deleted_reason } : row;
}

/** The fingerprint to remember: the read event's own; none when somebody wrote in between, so that the next run looks again. */
function markOf(reading: Reading, known: StoredMeeting | null, contested: boolean): string | null {
  if (reading.complete && contested) return null;
  if (!reading.complete || reading.event === null) return known?.fingerprint ?? null;
  return reading.fingerprint;
}

/** Which invitees of one meeting a reading adds, changes and removes. */
function inviteeChanges(
  known: ReadonlyMap<string, StoredInvitee>,
  reading: Pick<Reading, 'invitees' | 'complete'>,
  contested: boolean,
) {
  const rows: InviteeRow[] = [];
  let added = 0;
  const seen = new Set<string>();
  for (const raw of reading.invitees ?? []) {
    const fresh = inviteeRow(raw);
    seen.add(fresh.calendly_uri);
    const stored = known.get(fresh.calendly_uri);
    if (!stored) {
      rows.push(fresh);
      added++;
      continue;
    }
    if (stored.raw !== null && isOlder(raw, stored.raw)) continue;
    if (contested && stored.raw !== null && !isOlder(stored.raw, raw)) continue;
    const merged = inviteeRow(mergeRaw(stored.raw, raw));
    if (!sameRow(merged, stored)) rows.push(merged);
  }
  const removed = reading.complete && !contested ? [...known.keys()].filter((uri) => !seen.has(uri)) : [];
  return { rows, added, removed };
}

/** The same for the invitees of a delivery, and when no-show marks were taken back, where that is news. */
function deliveredInvitees(
  known: ReadonlyMap<string, StoredInvitee>,
  { invitees, delivery }: Pick<Reading, 'invitees' | 'delivery'>,
  marksRemoved: Readonly<Record<string, string>>,
) {
  const rows: InviteeRow[] = [];
  let added = 0;
  let noShowsRemoved = null as Record<string, string> | null;
  for (const raw of invitees ?? []) {
    const uri = String(raw.uri);
    const stored = known.get(uri);
    const before = { raw: stored?.raw ?? null, noShowRemovedAt: marksRemoved[uri] ?? null };
    const after = mergeInvitee(before, raw, delivery?.noShowRemovedAt ?? null);
    const row = inviteeRow(after.raw ?? raw);
    if (!stored) added++;
    if (!stored || !sameRow(row, stored)) rows.push(row);
    if (after.noShowRemovedAt !== before.noShowRemovedAt && after.noShowRemovedAt !== null)
      noShowsRemoved = { ...marksRemoved, ...noShowsRemoved, [uri]: after.noShowRemovedAt };
  }
  return { rows, added, removed: [] as string[], noShowsRemoved };
}
