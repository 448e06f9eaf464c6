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
import { foldObservations, type MeetingWrite } from './fold.js';
import { addressesIn, type Erased } from './forget.js';
import { externalId } from './rows.js';

/**
 * A meeting that another transaction has inserted in the meantime is looked up again; more rounds mean that the
 * database silently discards the row.
 */
const MAX_ROUNDS = 3;

/**
 * Writes observations of one user's meetings and returns what each did, in the same order.
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
  const [erased, first] = await Promise.all([
    findErased(sql, addressesOf(observations)),
    readObserved(sql, userId, observations, locked),
  ]);
  const all = withErased(observations, erased);
  const applied = new Map<Observation, Applied>();
  let open = all;
  for (let round = 1; open.length > 0; round++) {
    if (round > MAX_ROUNDS) throw rowDiscarded(open);
    const stored = round === 1 ? first : await readObserved(sql, userId, open);
    await write(sql, userId, open, stored, applied);
    open = open.filter((one) => !applied.has(one));
  }
  return all.map((one) => applied.get(one) ?? nothingApplied(one.uri, userId));
}

/**
 * The first half of `applyObservations`: what is stored of the meetings, which are locked. Of deliveries' meetings with
 * many invitees, only those that the deliveries name.
 */
export async function readObserved(
  sql: Sql,
  userId: string,
  observations: Observation[],
  locked?: string[],
): Promise<ReadonlyMap<string, Stored>> {
  const wanted = new Set(observations.map(({ uri }) => externalId(uri)));
  const ids = locked ? locked.filter((id) => wanted.has(id)) : await lock(sql, userId, wanted);
  return readStored(sql, userId, ids, observations);
}

/**
 * The second half, for deliveries: all statements are sent at once, so that COMMIT may follow them. If one of them does
 * not write all its rows, it fails (`isIncomplete`).
 */
export async function writeDeliveries(
  sql: Sql,
  userId: string,
  observations: Observation[],
  stored: ReadonlyMap<string, Stored>,
): Promise<Applied[]> {
  const applied = new Map<Observation, Applied>();
  await write(sql, userId, observations, stored, applied);
  return observations.map((one) => applied.get(one) ?? nothingApplied(one.uri, userId));
}

function areDeliveries(observations: Observation[]): boolean {
  return observations.every(({ source }) => source === 'webhook');
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

/** The observations without people who were erased. */
export function withErased(observations: Observation[], erased: Erased): Observation[] {
  return erased.size === 0 ? observations : observations.map((one) => ({ ...one, erased }));
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
  const withInvitees = observations.filter((one) => one.invitees);
  const wanted = new Set(withInvitees.map(({ uri }) => externalId(uri)));
  const named = areDeliveries(observations)
    ? withInvitees.flatMap(({ invitees }) => invitees?.map(({ uri }) => String(uri)) ?? [])
    : null;
  const [meetings, invitees] = await Promise.all([
    findMeetings(sql, userId, ids),
    findInvitees(
      sql,
      userId,
      ids.filter((id) => wanted.has(id)),
      named,
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
 * Writes what these observations change, one write for each meeting, and adds what each did to `applied`. One that is
 * missing there must be looked up again: another transaction has inserted its meeting in the meantime.
 */
async function write(
  sql: Sql,
  userId: string,
  observations: Observation[],
  stored: ReadonlyMap<string, Stored>,
  applied: Map<Observation, Applied>,
): Promise<void> {
  const perMeeting = new Map<string, Observation[]>();
  for (const one of observations) perMeeting.set(one.uri, [...(perMeeting.get(one.uri) ?? []), one]);
  const changed: (MeetingWrite & { id: string })[] = [];
  const inserts: (NewMeeting & { report(id: string): void })[] = [];
  for (const [uri, ofMeeting] of perMeeting) {
    const known = stored.get(externalId(uri)) ?? null;
    const { diffs, write } = foldObservations(known, ofMeeting);
    const report = (id: string) => {
      for (const [index, one] of ofMeeting.entries()) {
        const diff = diffs[index];
        applied.set(one, diff ? toApplied(uri, userId, id, diff) : nothingApplied(uri, userId));
      }
    };
    if (known && write) changed.push({ id: known.meeting.id, ...write });
    if (!known && write?.row && write.mark)
      inserts.push({ ...write, row: write.row, mark: write.mark, report });
    else report(known?.meeting.id ?? '');
  }
  const viaWebhook = areDeliveries(observations);
  // The statements do not depend on each other's results, so they are pipelined.
  const [inserted] = await Promise.all([
    insertMeetings(sql, userId, inserts, viaWebhook),
    updateMeetings(
      sql,
      userId,
      changed.flatMap(({ id, row }) => (row ? { ...row, id } : [])),
      viaWebhook,
    ),
    upsertInvitees(
      sql,
      changed.flatMap(({ id, invitees }) => invitees.map((row) => ({ ...row, meeting_id: id }))),
    ),
    deleteInvitees(
      sql,
      changed.flatMap(({ id, removed }) => removed.map((uri) => ({ meeting_id: id, calendly_uri: uri }))),
    ),
    markEvents(
      sql,
      changed.flatMap(({ id, mark }) => (mark ? { ...mark, meetingId: id } : [])),
    ),
  ]);
  for (const { row, report } of inserts) {
    const id = inserted.get(row.external_id);
    if (id !== undefined) report(id);
  }
}

/** What a diff did that was written. */
export function toApplied(uri: string, userId: string, meetingId: string | null, diff: MeetingDiff): Applied {
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
