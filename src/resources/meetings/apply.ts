/**
 * The one way in which meetings and invitees are written, by the poll and by webhooks alike. One transaction, given by the
 * caller. What it promises: rows that do not differ are not touched; an older reading never overwrites a newer one; a key that a
 * reading lacks erases nothing; a reading that began before somebody else's write does not undo that write.
 */
import type { Sql } from '../../database/connection.js';
import { preferIndexes } from '../../database/prepared-statements.js';
import { markReads } from '../../database/tables/event-reads.js';
import {
  deleteInvitees,
  findInvitees,
  type StoredInvitee,
  upsertInvitees,
} from '../../database/tables/invitees.js';
import {
  findMeetings,
  insertMeetings,
  lockMeetings,
  type NewMeeting,
  updateMeetings,
} from '../../database/tables/meetings.js';
import { CalendlySyncError } from '../../errors.js';
import { type Change, changesOf, type MeetingOutcome, type Reading, type Stored } from './diff.js';
import { externalId } from './rows.js';

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

/** Insert races are settled by looking again; more rounds than this mean that something refuses the row silently. */
const MOST_ROUNDS = 3;

/**
 * Writes readings of one user's meetings, each meeting at most once in the list. Answers in the order given.
 * @param locked external ids of those that are stored, where the caller has locked them already and prefers indexes; others may be among them
 */
export async function applyReadings(
  sql: Sql,
  userId: string,
  readings: Reading[],
  locked?: string[],
): Promise<Applied[]> {
  const applied = new Map<string, Applied>();
  let open = readings;
  for (let round = 1; open.length > 0; round++) {
    if (round > MOST_ROUNDS) throw noRow(open);
    const wanted = new Set(open.map(({ uri }) => externalId(uri)));
    const ids =
      round === 1 && locked ? locked.filter((id) => wanted.has(id)) : await lock(sql, userId, wanted);
    const stored = await readStored(sql, userId, ids);
    const missed = await write(sql, userId, open, stored, applied);
    open = open.filter(({ uri }) => missed.has(uri));
  }
  return readings.map(({ uri }) => applied.get(uri) ?? nothing(uri, userId));
}

async function lock(sql: Sql, userId: string, wanted: ReadonlySet<string>): Promise<string[]> {
  const [, ids] = await Promise.all([preferIndexes(sql), lockMeetings(sql, userId, [...wanted])]);
  return ids;
}

/**
 * Reads what is stored of locked meetings. Not in the statement that locks them: each sees what was committed before it began, so
 * that only one after that which waited for the locks sees what the transaction wrote that had held them.
 */
async function readStored(sql: Sql, userId: string, ids: string[]): Promise<Map<string, Stored>> {
  if (ids.length === 0) return new Map();
  const [meetings, invitees] = await Promise.all([
    findMeetings(sql, userId, ids),
    findInvitees(sql, userId, ids),
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
 * Writes what these readings change, and notes what it did in `applied`.
 * @returns URIs of meetings that another transaction inserted in the meantime: they are to be looked at again
 */
async function write(
  sql: Sql,
  userId: string,
  readings: Reading[],
  stored: ReadonlyMap<string, Stored>,
  applied: Map<string, Applied>,
): Promise<Set<string>> {
  const changed: { id: string; change: Change }[] = [];
  const inserts: (NewMeeting & { uri: string; change: Change })[] = [];
  for (const reading of readings) {
    const { uri } = reading;
    const known = stored.get(externalId(uri)) ?? null;
    const change = changesOf(known, reading);
    if (change === null) continue;
    if (known) {
      changed.push({ id: known.meeting.id, change });
      applied.set(uri, done(uri, userId, known.meeting.id, change));
    } else if (change.row) {
      inserts.push({ uri, change, row: change.row, invitees: change.invitees, mark: change.mark });
    }
  }
  const viaWebhook = readings.some(({ delivery }) => delivery !== undefined);
  // None needs another's answer: they are sent one behind the other.
  const [inserted] = await Promise.all([
    insertMeetings(sql, userId, inserts, viaWebhook),
    updateMeetings(
      sql,
      changed.flatMap(({ id, change }) => (change.row ? { ...change.row, id } : [])),
      viaWebhook,
    ),
    upsertInvitees(
      sql,
      changed.flatMap(({ id, change }) => change.invitees.map((row) => ({ ...row, meeting_id: id }))),
    ),
    deleteInvitees(
      sql,
      changed.flatMap(({ id, change }) =>
        change.removed.map((uri) => ({ meeting_id: id, calendly_uri: uri })),
      ),
    ),
    markReads(
      sql,
      changed.flatMap(({ id, change }) => (change.mark ? { ...change.mark, meetingId: id } : [])),
    ),
  ]);
  const missed = new Set<string>();
  for (const { uri, row, change } of inserts) {
    const id = inserted.get(row.external_id);
    if (id === undefined) missed.add(uri);
    else applied.set(uri, done(uri, userId, id, change));
  }
  return missed;
}

function done(uri: string, userId: string, meetingId: string, change: Change): Applied {
  const { outcome, invitees, added, removed } = change;
  const counts = { new: added, updated: invitees.length - added, removed: removed.length };
  return { uri, userId, meetingId, outcome, invitees: counts };
}

function nothing(uri: string, userId: string): Applied {
  const invitees = { new: 0, updated: 0, removed: 0 };
  return { uri, userId, meetingId: null, outcome: 'unknown', invitees };
}

function noRow(readings: Reading[]): CalendlySyncError {
  const uris = readings.map(({ uri }) => uri).join(', ');
  return new CalendlySyncError('database_failed', `The database keeps no row for ${uris}.`, {
    hint: 'A trigger or rule on meetings drops inserts.',
  });
}
