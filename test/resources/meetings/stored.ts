/** What the database does with a diff, in memory. */
import { diffMeeting, type Observation, type Stored } from '../../../src/resources/meetings/diff.js';
import type { MeetingWrite } from '../../../src/resources/meetings/fold.js';
import { inviteeRow, meetingRow } from '../../../src/resources/meetings/rows.js';
import { EVENT_URI, HOST_URI, type Loose, type Snapshot } from './history.js';

const BASE = Date.parse('2026-06-01T00:00:00Z');

/** The database's clock after so many seconds. */
export function databaseTime(seconds: number): string {
  return new Date(BASE + seconds * 1_000).toISOString().replace('Z', '000Z');
}

/** Applies an observation at a time of the database. */
export function applyTo(stored: Stored | null, observation: Observation, now: string): Stored | null {
  const diff = diffMeeting(stored, observation);
  return diff === null ? stored : written(stored, diff, now);
}

/** What is stored after a write. */
export function written(stored: Stored | null, diff: MeetingWrite, now: string): Stored {
  const known = stored?.meeting;
  const base = known ?? { id: '1', fingerprint: null, written_at: null, no_shows_removed: null };
  const { mark } = diff;
  const meeting = { ...base, ...diff.row } as Stored['meeting'];
  if (mark) {
    meeting.fingerprint = mark.fingerprint;
    meeting.failures = mark.failures;
    meeting.written_at = mark.changed ? now : meeting.written_at;
    meeting.no_shows_removed = mark.no_shows_removed ?? meeting.no_shows_removed;
  }
  const invitees = new Map(stored?.invitees);
  for (const row of diff.invitees) invitees.set(row.calendly_uri, { ...row, meeting_id: '1' });
  for (const uri of diff.removed) invitees.delete(uri);
  return { meeting, invitees };
}

/** A listing of a snapshot, with its invitees, requested at a time of the database. */
export function listing(
  snapshot: Snapshot,
  requestedAt: string,
  more: Partial<Observation> = {},
): Observation {
  return {
    uri: EVENT_URI,
    event: snapshot.event,
    invitees: snapshot.invitees,
    source: 'listing',
    requestedAt: { event: requestedAt, invitees: requestedAt },
    hostUri: HOST_URI,
    ...more,
  };
}

/** The rows of the tables, without what is only remembered. */
export function rowsOf(stored: Stored | null) {
  if (stored === null) return null;
  const {
    id: _id,
    fingerprint: _f,
    written_at: _w,
    no_shows_removed: _n,
    failures: _c,
    ...meeting
  } = stored.meeting;
  const invitees = [...stored.invitees.values()].map(({ meeting_id: _m, ...row }) => row as Loose);
  return {
    meeting,
    invitees: invitees.sort((a, b) => (String(a.calendly_uri) < String(b.calendly_uri) ? -1 : 1)),
  };
}

/** The rows that say what a snapshot says. */
export function rowsOfSnapshot({ event, invitees }: Snapshot) {
  return { meeting: meetingRow(event), invitees: invitees.map(inviteeRow) };
}
