/**
 * Computes what an observation of a meeting changes in the stored rows: the meeting, its invitees, and what
 * to remember of the observation. Pure: knows no SQL and no HTTP.
 */
import { parseEvent } from '../../calendly/schemas.js';
import { isJson, type Json } from '../../database/table.js';
import type { Mark } from '../../database/tables/calendly-events.js';
import type { InviteeRow, StoredInvitee } from '../../database/tables/invitees.js';
import type { MeetingRow, StoredMeeting } from '../../database/tables/meetings.js';
import { factsOf, type MeetingFacts, type MeetingOutcome } from './changes.js';
import { type Agreement, checkInvitees } from './consistency.js';
import { digest as digestOf, fingerprint as fingerprintOf } from './fingerprint.js';
import { type Erased, forgetInEvent, forgetInvitee, isForgotten } from './forget.js';
import { mergeEvent, mergeInvitee, mergePolled, mergePolledInvitee } from './merge.js';
import { ownership } from './owners.js';
import { inviteeRow, meetingRow, sameRow } from './rows.js';
import { type Standing, standingOf } from './standing.js';

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
   * Where the event comes from: a listing of the account's meetings, a request for this one, or a delivery. Only a
   * listing restores a meeting that was deleted.
   */
  source: 'listing' | 'request' | 'webhook';
  /**
   * Database time before the event and before its invitees were requested, as canonical text. Null for a
   * webhook delivery: it may arrive late, so its content decides what it still changes.
   */
  requestedAt: { event: string; invitees: string } | null;
  /** Calendly URI of the user under whom the meeting is stored; without it the event's hosts are not checked. */
  hostUri?: string;
  /** When a no-show mark of the invitee was removed; only a delivery reports that. */
  noShowRemovedAt?: string | null;
  /** Addresses in it of people who were erased, and who must not be stored again. */
  erased?: Erased | undefined;
}

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
  /** The facts before (null: it was not stored) and after. */
  before: MeetingFacts | null;
  after: MeetingFacts;
  /** Why the answer was accepted although it contradicts itself; to be shown as a warning. */
  warning: string | null;
  /** Invitee rows to write; `added` of them are new. */
  invitees: InviteeRow[];
  added: number;
  /** URIs of stored invitees that no longer exist. */
  removed: string[];
  /** What to remember of this observation; null if it gives a poll in progress no reason to look again. */
  mark: Mark | null;
}

/**
 * Compares an observation with what is stored; null if there is neither an event nor a stored meeting, or if a new
 * event is another user's.
 */
export function diffMeeting(stored: Stored | null, observation: Observation): MeetingDiff | null {
  const known = stored?.meeting ?? null;
  const { erased = NOBODY, invitees: observed } = observation;
  const isOfForgotten = observed?.some((raw) => isForgotten(raw, erased)) ?? false;
  // What is stored of the event may still name an invitee who only now turns out to be one of those.
  const event = observation.event ?? (isOfForgotten ? (known?.raw ?? null) : null);
  const { row, outcome } = diffEvent(known, { ...observation, event, isOfForgotten });
  const current = row ?? known;
  if (current === null) return null;
  const diff = diffInvitees(stored, current.raw, observation);
  const { invitees, agreement, noShowsRemoved, ...rest } = diff;
  const changes = row !== null || invitees.length > 0 || rest.removed.length > 0 || noShowsRemoved !== null;
  // A delivery that changes nothing must not make a poll in progress read the meeting again.
  const isSilent = observation.requestedAt === null && known !== null && !changes;
  const mark = {
    start_time: current.start_time,
    end_time: current.end_time,
    digest: nextDigest(known, row, observation),
    fingerprint: nextFingerprint(observation, current, known, diff),
    read: agreement?.believed ?? false,
    changed: known === null || changes,
    awaitsNoShows: !current.is_deleted && current.invitees_total !== 0,
    failures: agreement?.disagreements ?? known?.failures ?? 0,
    no_shows_removed: noShowsRemoved,
  };
  return {
    row,
    outcome,
    before: known && factsOf(known),
    after: factsOf(current),
    warning: agreement?.believed ? agreement.reason : null,
    invitees,
    added: rest.added,
    removed: rest.removed,
    mark: isSilent ? null : mark,
  };
}

interface EventObservation
  extends Pick<Observation, 'event' | 'source' | 'requestedAt' | 'hostUri' | 'erased'> {
  /** One of the invitees in this observation was erased. */
  isOfForgotten?: boolean | undefined;
}

const NOBODY: Erased = new Set();

/** Compares the event of an observation with the stored one. A new event of another user yields no row. */
export function diffEvent(
  known: StoredMeeting | null,
  { event, source, requestedAt, hostUri, erased = NOBODY, isOfForgotten = false }: EventObservation,
): Pick<MeetingDiff, 'row' | 'outcome'> {
  if (event === null) return { row: null, outcome: 'unknown' };
  const isReassigned = hostUri !== undefined && ownership(event, hostUri) === 'reassigned';
  if (known === null) {
    if (isReassigned) return { row: null, outcome: 'unknown' };
    const row = meetingRow(forgetInEvent(event, erased, isOfForgotten));
    return { row, outcome: row.is_deleted ? 'recorded_canceled' : 'new' };
  }
  const standing = requestedAt && standingOf(known.written_at, requestedAt.event);
  const mayRestore = source === 'listing' && standing === 'settled';
  const merged =
    standing === null ? mergeEvent(known.raw, event) : mergePolled(known.raw, event, standing, mayRestore);
  if (merged === null) return { row: null, outcome: 'unchanged' };
  const row = meetingRow(forgetInEvent(merged, erased, isOfForgotten));
  // An event without a name leaves the title that the application, or its NOT NULL, asked for.
  if (row.title === null && known.raw?.name == null) row.title = known.title;
  const { deleted_at, deleted_reason } = known;
  const wasDeleted = known.is_deleted === true;
  if (isReassigned)
    Object.assign(row, {
      is_deleted: true,
      deleted_at: wasDeleted ? deleted_at : (requestedAt?.event ?? row.calendly_updated_at),
      deleted_reason: 'reassigned',
    });
  // Calendly reported the meeting as not this user's any more: only a listing that contains it restores it.
  else if (source !== 'listing' && wasDeleted && LOST.includes(deleted_reason ?? ''))
    Object.assign(row, { is_deleted: true, deleted_at, deleted_reason });
  if (sameRow(row, known)) return { row: null, outcome: 'unchanged' };
  if (row.is_deleted === wasDeleted) return { row, outcome: 'updated' };
  return { row, outcome: row.is_deleted ? 'deleted' : 'restored' };
}

/** Reasons that do not follow from the event itself. */
const LOST = ['gone', 'access_lost', 'reassigned'];

interface InviteesDiff {
  invitees: InviteeRow[];
  added: number;
  removed: string[];
  /** All removals of no-show marks to remember; null if there are no others than before. */
  noShowsRemoved: Record<string, string> | null;
  /** Whether the invitees are believed; null if not all of them are known. */
  agreement: Agreement | null;
  /** A stored invitee is newer than the answer. */
  refused: boolean;
}

/** @param current the event as it will be stored */
function diffInvitees(stored: Stored | null, current: Json | null, observation: Observation): InviteesDiff {
  const { event, invitees, requestedAt, noShowRemovedAt = null, erased = NOBODY } = observation;
  const known = stored?.meeting ?? null;
  const standing = requestedAt && standingOf(known?.written_at ?? null, requestedAt.invitees);
  const knownInvitees = stored?.invitees ?? new Map<string, StoredInvitee>();
  const removals = new Map(Object.entries(known?.no_shows_removed ?? {}));
  const rows = new Map<string, InviteeRow>();
  let [refused, removalsChanged] = [false, false];
  for (const raw of invitees ?? []) {
    const uri = String(raw.uri);
    const before = {
      raw: rows.get(uri)?.raw ?? knownInvitees.get(uri)?.raw ?? null,
      noShowRemovedAt: removals.get(uri) ?? null,
    };
    const after =
      standing === null
        ? mergeInvitee(before, raw, noShowRemovedAt)
        : mergePolledInvitee(before, raw, standing);
    if (after.raw === null) refused = true;
    else rows.set(uri, inviteeRow(forgetInvitee(after.raw, erased)));
    if (after.noShowRemovedAt === before.noShowRemovedAt) continue;
    removalsChanged = true;
    if (after.noShowRemovedAt === null) removals.delete(uri);
    else removals.set(uri, after.noShowRemovedAt);
  }
  const changed = [...rows].filter(([uri, row]) => {
    const before = knownInvitees.get(uri);
    return !(before && sameRow(row, before));
  });
  const agreement =
    standing === null
      ? checkDelivery(current, [...new Map([...rawsOf(knownInvitees), ...rawsOf(rows)]).values()])
      : invitees && agreementOf(standing, event ?? known?.raw ?? null, invitees, known);
  const answered = new Set(invitees?.map(({ uri }) => String(uri)));
  const mayRemove = standing !== null && agreement?.believed === true;
  return {
    invitees: changed.map(([, row]) => row),
    added: changed.filter(([uri]) => !knownInvitees.has(uri)).length,
    removed: mayRemove ? [...knownInvitees.keys()].filter((uri) => !answered.has(uri)) : [],
    noShowsRemoved: removalsChanged ? Object.fromEntries(removals) : null,
    agreement,
    refused,
  };
}

/**
 * The digest to remember: that of the observed event, if a listing that repeats it would change nothing. `''` otherwise:
 * it equals that of no event. Null if the observation says nothing of the event.
 */
export function nextDigest(
  known: StoredMeeting | null,
  row: MeetingRow | null,
  { event, requestedAt, hostUri, erased }: EventObservation,
): string | null {
  if (event === null) return null;
  if (requestedAt === null) return '';
  if (known === null) return digestOf(event);
  // Never written by this tool: the listing's answer is settled.
  const next = { ...known, ...row, written_at: null };
  const repeated = {
    event,
    source: 'listing',
    requestedAt,
    ...(hostUri && { hostUri }),
    erased,
  } as const;
  return diffEvent(next, repeated).row === null ? digestOf(event) : '';
}

/** A contested answer is neither believed nor counted: what was written after the request may be what it lacks. */
function agreementOf(
  standing: Standing,
  event: Json | null,
  invitees: Json[],
  known: StoredMeeting | null,
): Agreement {
  const disagreements = known?.failures ?? 0;
  if (standing === 'contested') return { reason: null, believed: false, disagreements };
  return checkInvitees(event, invitees, disagreements);
}

/**
 * The invitees of a meeting after a delivery, if they are all that its own counters name: then no poll needs to read
 * them. Null otherwise.
 */
function checkDelivery(event: Json | null, invitees: Json[]): Agreement | null {
  const counter = isJson(event?.invitees_counter) ? event.invitees_counter : {};
  if (typeof counter.total !== 'number' || typeof counter.active !== 'number') return null;
  const agreement = checkInvitees(event, invitees, 0);
  return agreement.reason === null ? agreement : null;
}

function rawsOf(rows: ReadonlyMap<string, { raw: Json | null }>): [string, Json][] {
  return [...rows].flatMap(([uri, { raw }]) => (raw ? [[uri, raw]] : []));
}

/** The fingerprint to remember. Null: the next run reads the invitees again. */
function nextFingerprint(
  { event }: Observation,
  current: MeetingRow | StoredMeeting,
  known: StoredMeeting | null,
  { agreement, refused }: Pick<InviteesDiff, 'agreement' | 'refused'>,
): string | null {
  if (agreement === null) return known?.fingerprint ?? null;
  if (refused || !agreement.believed) return null;
  if (known === null) {
    // The row is that of the event, which need not be parsed again.
    const { calendly_uri: uri, status, calendly_updated_at: updated_at } = current;
    const counter = { total: current.invitees_total, active: current.invitees_active };
    return fingerprintOf({ uri, status, updated_at, invitees_counter: counter });
  }
  // Invitees that were read without their event belong to the event as it is stored.
  const parsed = parseEvent(event ?? current.raw);
  return parsed && fingerprintOf(parsed.value);
}
