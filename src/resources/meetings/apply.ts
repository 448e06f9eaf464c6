/**
 * Writes observed meetings and their invitees, for polls and webhooks alike, in the caller's transaction. It promises:
 * rows that do not differ are not written; an older observation never overwrites a newer one; a missing key erases
 * nothing; the response to a request does not undo what was written after the request was sent. Knows no HTTP.
 */
import type { Sql } from '../../database/connection.js';
import { lockEvents, markEvents } from '../../database/tables/calendly-events.js';
import { findErased, previewErased } from '../../database/tables/erasures.js';
import {
  deleteInvitees,
  findInvitees,
  type StoredInvitee,
  upsertInvitees,
} from '../../database/tables/invitees.js';
import {
  findMeetings,
  insertMeetings,
  type NewMeeting,
  updateMeetings,
} from '../../database/tables/meetings.js';
import { preferIndexes } from '../../database/transaction.js';
import { CalendlySyncError } from '../../errors.js';
import type { Applied } from './changes.js';
import { diffMeeting, type MeetingDiff, type Observation, type Stored } from './diff.js';
import { addressesIn, type Erased } from './forget.js';
import { externalId } from './rows.js';

/**
 * A meeting that another transaction has inserted in the meantime is looked up again; more rounds mean that the
 * database silently discards the row.
 */
const MAX_ROUNDS = 3;

/**
 * Writes observations of one user's meetings, at most one per meeting, and returns what each did, in the same
 * order.
 * @param locked external ids of stored meetings that the caller has already locked, with indexes preferred; may
 * include others
 * @throws CalendlySyncError `database_failed` if the database discards an insert or update; an error that `isLostRace`
 * knows if another transaction inserts the same meeting at this moment: the caller repeats its transaction
 */
export async function applyObservations(
  sql: Sql,
  userId: string,
  observations: Observation[],
  locked?: string[],
): Promise<Applied[]> {
  const applied = new Map<string, Applied>();
  // In progress while the rows are locked and read.
  const erased = findErased(sql, addressesOf(observations));
  erased.catch(() => {});
  let open = observations;
  for (let round = 1; open.length > 0; round++) {
    if (round > MAX_ROUNDS) throw rowDiscarded(open);
    const wanted = new Set(open.map(({ uri }) => externalId(uri)));
    const ids =
      round === 1 && locked ? locked.filter((id) => wanted.has(id)) : await lock(sql, userId, wanted);
    const stored = await readStored(sql, userId, ids, open);
    if (round === 1) open = withErased(open, await erased);
    const conflicting = await write(sql, userId, open, stored, applied);
    open = open.filter(({ uri }) => conflicting.has(uri));
  }
  return observations.map(({ uri }) => applied.get(uri) ?? nothingApplied(uri, userId));
}

/** What `applyObservations` would do, without writing and without a lock. `userId` null: nothing is stored. */
export async function previewObservations(
  sql: Sql,
  userId: string | null,
  observations: Observation[],
): Promise<Applied[]> {
  const ids = observations.map(({ uri }) => externalId(uri));
  const stored =
    userId === null ? new Map<string, Stored>() : await readStored(sql, userId, ids, observations);
  const erased = await previewErased(sql, addressesOf(observations));
  return withErased(observations, erased).map((observation) => {
    const { uri } = observation;
    const known = stored.get(externalId(uri)) ?? null;
    const diff = diffMeeting(known, observation);
    return diff
      ? toApplied(uri, userId ?? '', known?.meeting.id ?? null, diff)
      : nothingApplied(uri, userId ?? '');
  });
}

function addressesOf(observations: Observation[]): string[] {
  const found = new Set<string>();
  for (const { event, invitees } of observations) addressesIn([event, invitees], found);
  return [...found];
}

function withErased(observations: Observation[], erased: Erased): Observation[] {
  if (erased.size === 0) return observations;
  return observations.map((observation) => ({ ...observation, erased, ifNotStored: null }));
}

async function lock(sql: Sql, userId: string, wanted: ReadonlySet<string>): Promise<string[]> {
  const [, ids] = await Promise.all([preferIndexes(sql), lockEvents(sql, userId, [...wanted])]);
  return ids;
}

/**
 * Reads what is stored of locked meetings. This cannot be the statement that locks them: a statement sees
 * only what was committed before it started, so it would miss what the transaction wrote that it waited for. The
 * invitees are read only where the observation has some: a page of large events would not fit into memory.
 */
async function readStored(
  sql: Sql,
  userId: string,
  ids: string[],
  observations: Observation[],
): Promise<Map<string, Stored>> {
  if (ids.length === 0) return new Map();
  const withInvitees = new Set(observations.filter((one) => one.invitees).map(({ uri }) => externalId(uri)));
  const [meetings, invitees] = await Promise.all([
    findMeetings(sql, userId, ids),
    findInvitees(
      sql,
      userId,
      ids.filter((id) => withInvitees.has(id)),
    ),
  ]);
  const perMeeting = new Map<string, Map<string, StoredInvitee>>();
  for (const invitee of invitees) {
    const ofMeeting = perMeeting.get(invitee.meeting_id) ?? new Map<string, StoredInvitee>();
    perMeeting.set(invitee.meeting_id, ofMeeting.set(invitee.calendly_uri, invitee));
  }
  const stored = new Map<string, Stored>();
  for (const [id, meeting] of meetings)
    stored.set(id, { meeting, invitees: perMeeting.get(meeting.id) ?? new Map() });
  return stored;
}

/**
 * Writes what these observations change, and adds what it did to `applied`.
 * @returns URIs of meetings that another transaction inserted in the meantime and that must be looked up again
 */
async function write(
  sql: Sql,
  userId: string,
  observations: Observation[],
  stored: ReadonlyMap<string, Stored>,
  applied: Map<string, Applied>,
): Promise<Set<string>> {
  const changed: { id: string; diff: MeetingDiff }[] = [];
  const inserts: (NewMeeting & { uri: string; diff: MeetingDiff })[] = [];
  for (const observation of observations) {
    const { uri } = observation;
    const known = stored.get(externalId(uri)) ?? null;
    const diff = (known === null && observation.ifNotStored) || diffMeeting(known, observation);
    if (diff === null) continue;
    if (known) {
      changed.push({ id: known.meeting.id, diff });
      applied.set(uri, toApplied(uri, userId, known.meeting.id, diff));
    } else if (diff.row && diff.mark) {
      inserts.push({ uri, diff, row: diff.row, invitees: diff.invitees, mark: diff.mark });
    }
  }
  const viaWebhook = observations.some(({ source }) => source === 'webhook');
  // The statements do not depend on each other's results, so they are pipelined.
  const [inserted] = await Promise.all([
    insertMeetings(sql, userId, inserts, viaWebhook),
    updateMeetings(
      sql,
      userId,
      changed.flatMap(({ id, diff }) => (diff.row ? { ...diff.row, id } : [])),
      viaWebhook,
    ),
    upsertInvitees(
      sql,
      changed.flatMap(({ id, diff }) => diff.invitees.map((row) => ({ ...row, meeting_id: id }))),
    ),
    deleteInvitees(
      sql,
      changed.flatMap(({ id, diff }) => diff.removed.map((uri) => ({ meeting_id: id, calendly_uri: uri }))),
    ),
    markEvents(
      sql,
      changed.flatMap(({ id, diff }) => (diff.mark ? { ...diff.mark, meetingId: id } : [])),
    ),
  ]);
  const conflicting = new Set<string>();
  for (const { uri, row, diff } of inserts) {
    const id = inserted.get(row.external_id);
    if (id === undefined) conflicting.add(uri);
    else applied.set(uri, toApplied(uri, userId, id, diff));
  }
  return conflicting;
}

function toApplied(uri: string, userId: string, meetingId: string | null, diff: MeetingDiff): Applied {
  const { outcome, before, after, warning, invitees, added, removed } = diff;
  const counts = { new: added, updated: invitees.length - added, removed: removed.length };
  return { uri, userId, meetingId, outcome, before, after, warning, invitees: counts };
}

function nothingApplied(uri: string, userId: string): Applied {
  const invitees = { new: 0, updated: 0, removed: 0 };
  const nothing = { meetingId: null, outcome: 'unknown', before: null, after: null, warning: null } as const;
  return { uri, userId, ...nothing, invitees };
}

function rowDiscarded(observations: Observation[]): CalendlySyncError {
  const uris = observations.map(({ uri }) => uri).join(', ');
  return new CalendlySyncError('database_failed', `The database discarded the row for ${uris}.`, {
    hint: 'A trigger or rule on meetings drops inserts.',
  });
}
