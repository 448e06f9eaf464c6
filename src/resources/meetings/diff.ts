/**
 * Computes what an observation of a meeting changes in the stored rows: the meeting, its invitees, and what
 * to remember of the observation. Pure: knows no SQL and no HTTP.
 */
import { parseEvent } from '../../calendly/schemas.js';
import type { Json } from '../../database/table.js';
import type { Mark } from '../../database/tables/calendly-events.js';
import type { InviteeRow, StoredInvitee } from '../../database/tables/invitees.js';
import type { MeetingRow, StoredMeeting } from '../../database/tables/meetings.js';
import { digest as digestOf, fingerprint as fingerprintOf } from './fingerprint.js';
import { compareTimes, mergeEvent, mergeInvitee, mergePolled } from './merge.js';
import { inviteeRow, meetingRow, sameRow } from './rows.js';

/** What Calendly reported about one meeting, in answer to a request or in a webhook delivery. */
export interface Observation {
  /** The event's URI. */
  uri: string;
  /** The event; null if only its invitees were requested. */
  event: Json | null;
  /**
   * In answer to a request all invitees of the event, or null if they were not requested; in a delivery one of them.
   */
  invitees: Json[] | null;
  /**
   * Database time before the event and before its invitees were requested, as canonical text. Null for a
   * webhook delivery: it may arrive late, so its content decides what it still changes.
   */
  requestedAt: { event: string; invitees: string } | null;
  /** When a no-show mark of the invitee was removed; only a delivery reports that. */
  noShowRemovedAt?: string | null;
  /** The diff against an empty database, if the caller computed it while it waited for the database. */
  ifNotStored?: MeetingDiff | null;
}

/** What happened to a meeting's row. `unknown`: the observation did not include the event. */
export type MeetingOutcome =
  | 'new'
  | 'recorded_canceled'
  | 'updated'
  | 'deleted'
  | 'restored'
  | 'unchanged'
  | 'unknown';

/** What is stored of one meeting, read while its row is locked. */
export interface Stored {
  meeting: StoredMeeting;
  invitees: ReadonlyMap<string, StoredInvitee>;
}

/** What an observation changes. */
export interface MeetingDiff {
  /** The meeting's row to write; null leaves the row as it is. */
  row: MeetingRow | null;
  outcome: MeetingOutcome;
  /** Invitee rows to write; `added` of them are new. */
  invitees: InviteeRow[];
  added: number;
  /** URIs of stored invitees that no longer exist. */
  removed: string[];
  /** What to remember of this observation; null if it gives a poll in progress no reason to look again. */
  mark: Mark | null;
}

/** Compares an observation with what is stored; null if there is neither an event nor a stored meeting. */
export function diffMeeting(stored: Stored | null, observation: Observation): MeetingDiff | null {
  const { event, requestedAt } = observation;
  const known = stored?.meeting ?? null;
  if (known === null && event === null) return null;
  const { row, outcome } = diffEvent(known, event, requestedAt?.event ?? null);
  const contested = isContested(known, requestedAt?.invitees ?? null);
  const { rows, added, removed, noShowsRemoved } = diffInvitees(stored, observation, contested);
  const isNoOp = row === null && rows.length === 0 && noShowsRemoved === null;
  const fingerprint = nextFingerprint(observation, known, contested);
  // A delivery that changes nothing must not make a poll in progress read the meeting again.
  const isSilent = requestedAt === null && known !== null && isNoOp;
  const current = row ?? known;
  const mark = isSilent
    ? null
    : {
        start_time: current?.start_time ?? null,
        end_time: current?.end_time ?? null,
        digest: nextDigest(observation, known),
        fingerprint,
        read: isComplete(observation),
        awaitsNoShows: current !== null && !current.is_deleted && current.invitees_total !== 0,
        no_shows_removed: noShowsRemoved,
      };
  return { row, outcome, invitees: rows, added, removed, mark };
}

/**
 * Compares an observed event with the stored one.
 * @param requestedAt database time before the event was requested; null for a webhook delivery
 */
export function diffEvent(
  known: StoredMeeting | null,
  event: Json | null,
  requestedAt: string | null,
): Pick<MeetingDiff, 'row' | 'outcome'> {
  if (event === null) return { row: null, outcome: 'unknown' };
  if (known === null) {
    const row = meetingRow(event);
    return { row, outcome: row.is_deleted ? 'recorded_canceled' : 'new' };
  }
  const merged =
    requestedAt === null
      ? mergeEvent(known.raw, event)
      : mergePolled(known.raw, event, isContested(known, requestedAt));
  if (merged === null) return { row: null, outcome: 'unchanged' };
  const row = meetingRow(merged);
  // An event without a name leaves the title that the application, or its NOT NULL, asked for.
  if (row.title === null && known.raw?.name == null) row.title = known.title;
  // Calendly reported the meeting as gone or not accessible: only a listing that contains it restores it.
  const { is_deleted, deleted_at, deleted_reason } = known;
  if (requestedAt === null && (deleted_reason === 'gone' || deleted_reason === 'access_lost'))
    Object.assign(row, { is_deleted, deleted_at, deleted_reason });
  if (sameRow(row, known)) return { row: null, outcome: 'unchanged' };
  if (row.is_deleted === is_deleted) return { row, outcome: 'updated' };
  return { row, outcome: row.is_deleted ? 'deleted' : 'restored' };
}

function diffInvitees(
  stored: Stored | null,
  observation: Observation,
  contested: boolean,
): { rows: InviteeRow[]; added: number; removed: string[]; noShowsRemoved: Record<string, string> | null } {
  const { requestedAt, noShowRemovedAt = null } = observation;
  const knownInvitees = stored?.invitees ?? new Map<string, StoredInvitee>();
  const knownRemovals = stored?.meeting.no_shows_removed ?? {};
  const rows: InviteeRow[] = [];
  let added = 0;
  const newRemovals: Record<string, string> = {};
  const seen = new Set<string>();
  for (const raw of observation.invitees ?? []) {
    const uri = String(raw.uri);
    seen.add(uri);
    const known = knownInvitees.get(uri);
    if (!known) added++;
    const before = { raw: known?.raw ?? null, noShowRemovedAt: knownRemovals[uri] ?? null };
    const after = requestedAt
      ? { ...before, raw: mergePolled(before.raw, raw, contested) }
      : mergeInvitee(before, raw, noShowRemovedAt);
    const row = after.raw && inviteeRow(after.raw);
    if (row && !(known && sameRow(row, known))) rows.push(row);
    if (after.noShowRemovedAt !== null && after.noShowRemovedAt !== before.noShowRemovedAt)
      newRemovals[uri] = after.noShowRemovedAt;
  }
  const canRemove = isComplete(observation) && !contested;
  const removed = canRemove ? [...knownInvitees.keys()].filter((uri) => !seen.has(uri)) : [];
  const noShowsRemoved = Object.keys(newRemovals).length > 0 ? { ...knownRemovals, ...newRemovals } : null;
  return { rows, added, removed, noShowsRemoved };
}

/** True if the observation includes every invitee of the event, so that stored ones that it lacks no longer exist. */
function isComplete({ invitees, requestedAt }: Observation): boolean {
  return requestedAt !== null && invitees !== null;
}

/** True if the meeting was written after the request was sent: the response may be older than what is stored. */
function isContested(known: StoredMeeting | null, requestedAt: string | null): boolean {
  return requestedAt !== null && known?.written_at != null && known.written_at > requestedAt;
}

/**
 * The digest to remember: that of a listed row that is stored as it is now. `''` if the meeting was written
 * otherwise, so that it equals no listed row; null if the observation says nothing of the event.
 */
function nextDigest({ event, requestedAt }: Observation, known: StoredMeeting | null): string | null {
  if (event === null) return null;
  const stands =
    requestedAt === null ||
    isContested(known, requestedAt.event) ||
    compareTimes(event.updated_at, known?.raw?.updated_at) < 0;
  return stands ? '' : digestOf(event);
}

/** The fingerprint to remember. Null if the meeting was written in between, so that the next run reads it again. */
function nextFingerprint(
  observation: Observation,
  known: StoredMeeting | null,
  contested: boolean,
): string | null {
  const lastFingerprint = known?.fingerprint ?? null;
  if (!isComplete(observation)) return lastFingerprint;
  if (contested) return null;
  if (observation.event === null) return lastFingerprint;
  const parsed = parseEvent(observation.event);
  return parsed && fingerprintOf(parsed.value);
}
