/**
 * The one way in which meetings and invitees are written, by the poll and by webhooks alike. One transaction, given by the
 * caller. What it promises: rows that do not differ are not touched; an older reading never overwrites a newer one; a key that a
 * reading lacks erases nothing; a reading that began before somebody else's write does not undo that write.
 */
import type { Sql } from '../database/connection.js';
import {
  deleteInvitees,
  findInvitees,
  type InviteeOfMeeting,
  type StoredInvitee,
  upsertInvitees,
} from '../database/invitees.js';
import { findMeetings, insertMeetings, type StoredMeeting, updateMeetings } from '../database/meetings.js';
import { markReads, type ReadMark } from '../database/reads.js';
import { CalendlySyncError } from '../errors.js';
import { joinEvent, joinInvitee } from './precedence.js';
import {
  externalId,
  inviteeRow,
  isOlder,
  type Json,
  type MeetingRow,
  meetingRow,
  mergeRaw,
  sameRow,
} from './rows.js';

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

/** What applying one reading did. */
export interface Applied {
  uri: string;
  /** Whose meeting it is. */
  userId: string;
  /** Id of the meeting's row; null when there is none (a reading of invitees alone for a meeting that is not stored). */
  meetingId: string | null;
  outcome: MeetingOutcome;
  invitees: { new: number; updated: number; removed: number };
}

/** A meeting's row as it was before, and what was done to it. */
interface Written {
  id: string;
  stored: StoredMeeting | null;
  outcome: MeetingOutcome;
  wrote: boolean;
}

/** Insert races are settled by looking again; more rounds than this mean that something refuses the row silently. */
const MOST_ROUNDS = 3;

/** Writes readings of one user's meetings, each meeting at most once in the list. Answers in the order given. */
export async function applyReadings(sql: Sql, userId: string, readings: Reading[]): Promise<Applied[]> {
  const meetings = new Map<string, Written>();
  let open = readings;
  for (let round = 1; open.length > 0; round++) {
    const stored = await findMeetings(
      sql,
      userId,
      open.map(({ uri }) => externalId(uri)),
      true,
    );
    const inserts: MeetingRow[] = [];
    const updates: MeetingRow[] = [];
    for (const reading of open) {
      const known = stored.get(externalId(reading.uri)) ?? null;
      if (known) {
        const change = changeOf(known, reading);
        if (change.row) updates.push(change.row);
        meetings.set(reading.uri, {
          id: known.id,
          stored: known,
          outcome: change.outcome,
          wrote: change.row !== null,
        });
      } else if (reading.event) {
        inserts.push(meetingRow(reading.event));
      }
    }
    const viaWebhook = readings.some(({ delivery }) => delivery !== undefined);
    await updateMeetings(sql, userId, updates, viaWebhook);
    const inserted = await insertMeetings(sql, userId, inserts, viaWebhook);
    for (const row of inserts) {
      const id = inserted.get(row.external_id);
      const outcome = row.is_deleted ? 'recorded_canceled' : 'new';
      if (id !== undefined) meetings.set(row.calendly_uri, { id, stored: null, outcome, wrote: true });
    }
    open = open.filter(({ uri, event }) => event !== null && !meetings.has(uri));
    if (open.length > 0 && round === MOST_ROUNDS) {
      throw new CalendlySyncError(
        'database_failed',
        `The database keeps no row for ${open.map(({ uri }) => uri).join(', ')}.`,
        {
          hint: 'A trigger or rule on meetings drops inserts.',
        },
      );
    }
  }
  const counts = await applyInvitees(sql, readings, meetings);
  return readings.map(({ uri }) => {
    const meeting = meetings.get(uri);
    return {
      uri,
      userId,
      meetingId: meeting?.id ?? null,
      outcome: meeting?.outcome ?? 'unknown',
      invitees: counts.get(uri) ?? { new: 0, updated: 0, removed: 0 },
    };
  });
}

/** What a reading makes of a stored meeting: the row to write, if any, and what to call it. Pure. */
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
  const row = meetingRow(joinEvent(known.raw, event));
  const { is_deleted, deleted_at, deleted_reason } = known;
  const lost = deleted_reason === 'gone' || deleted_reason === 'access_lost';
  return lost ? { ...row, is_deleted, deleted_at, deleted_reason } : row;
}

type InviteeCounts = Applied['invitees'];

async function applyInvitees(
  sql: Sql,
  readings: Reading[],
  meetings: Map<string, Written>,
): Promise<Map<string, InviteeCounts>> {
  const known = new Map<string, Map<string, StoredInvitee>>();
  const old = [...meetings.values()].filter(({ stored }) => stored !== null).map(({ id }) => id);
  for (const invitee of await findInvitees(sql, old)) {
    const ofMeeting = known.get(invitee.meeting_id) ?? new Map<string, StoredInvitee>();
    known.set(invitee.meeting_id, ofMeeting.set(invitee.calendly_uri, invitee));
  }
  const counts = new Map<string, InviteeCounts>();
  const writes: InviteeOfMeeting[] = [];
  const removals: { meeting_id: string; calendly_uri: string }[] = [];
  const marks: ReadMark[] = [];
  for (const reading of readings) {
    const meeting = meetings.get(reading.uri);
    if (!meeting) continue;
    const { id, stored } = meeting;
    const contested = stored?.written_at != null && stored.written_at > reading.inviteesSeenAt;
    const ofMeeting = known.get(id) ?? new Map<string, StoredInvitee>();
    const marksRemoved = stored?.no_shows_removed ?? {};
    const change = reading.delivery
      ? deliveredInvitees(ofMeeting, reading, marksRemoved)
      : { ...inviteeChanges(ofMeeting, reading, contested), noShowsRemoved: null };
    writes.push(...change.rows.map((row) => ({ ...row, meeting_id: id })));
    removals.push(...change.removed.map((calendly_uri) => ({ meeting_id: id, calendly_uri })));
    counts.set(reading.uri, {
      new: change.added,
      updated: change.rows.length - change.added,
      removed: change.removed.length,
    });
    // A delivery that changes nothing leaves no mark: a reading under way is not contested by it.
    const quiet = reading.delivery && stored && !meeting.wrote && change.rows.length === 0;
    if (quiet && change.noShowsRemoved === null) continue;
    marks.push({
      meetingId: id,
      fingerprint: markOf(reading, stored, contested),
      read: reading.complete,
      noShowsRemoved: change.noShowsRemoved,
    });
  }
  // None needs another's answer: they are sent one behind the other.
  await Promise.all([upsertInvitees(sql, writes), deleteInvitees(sql, removals), markReads(sql, marks)]);
  return counts;
}

/** The fingerprint to remember: the read event's own; none when somebody wrote in between, so that the next run looks again. */
function markOf(reading: Reading, stored: StoredMeeting | null, contested: boolean): string | null {
  if (reading.complete && contested) return null;
  if (!reading.complete || reading.event === null) return stored?.fingerprint ?? null;
  return reading.fingerprint;
}

/** Which invitees of one meeting a reading adds, changes and removes. Pure. */
function inviteeChanges(
  known: ReadonlyMap<string, StoredInvitee>,
  reading: Pick<Reading, 'invitees' | 'complete'>,
  contested: boolean,
) {
  const rows: ReturnType<typeof inviteeRow>[] = [];
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

/** The same for the invitees of a delivery, and when no-show marks were taken back, where that is news. Pure. */
function deliveredInvitees(
  known: ReadonlyMap<string, StoredInvitee>,
  { invitees, delivery }: Pick<Reading, 'invitees' | 'delivery'>,
  marksRemoved: Readonly<Record<string, string>>,
) {
  const rows: ReturnType<typeof inviteeRow>[] = [];
  let added = 0;
  let noShowsRemoved = null as Record<string, string> | null;
  for (const raw of invitees ?? []) {
    const uri = String(raw.uri);
    const stored = known.get(uri);
    const before = { raw: stored?.raw ?? null, noShowRemovedAt: marksRemoved[uri] ?? null };
    const after = joinInvitee(before, raw, delivery?.noShowRemovedAt ?? null);
    const row = inviteeRow(after.raw ?? raw);
    if (!stored) added++;
    if (!stored || !sameRow(row, stored)) rows.push(row);
    if (after.noShowRemovedAt !== before.noShowRemovedAt && after.noShowRemovedAt !== null)
      noShowsRemoved = { ...marksRemoved, ...noShowsRemoved, [uri]: after.noShowRemovedAt };
  }
  return { rows, added, removed: [] as string[], noShowsRemoved };
}
