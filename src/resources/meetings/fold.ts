/**
 * Several observations of one meeting as one write: each is compared with what the ones before it have left. Pure.
 */
import type { Mark } from '../../database/tables/calendly-events.js';
import type { StoredMeeting } from '../../database/tables/meetings.js';
import { diffMeeting, type MeetingDiff, type Observation, type Stored } from './diff.js';

/** What to write of a meeting. */
export type MeetingWrite = Pick<MeetingDiff, 'row' | 'invitees' | 'removed' | 'mark'>;

/** The diff of each observation, in the order given, and what they change together; null if nothing is known of it. */
export function foldObservations(
  stored: Stored | null,
  observations: Observation[],
): { diffs: (MeetingDiff | null)[]; write: MeetingWrite | null } {
  let current = stored;
  let write: MeetingWrite | null = null;
  const diffs = observations.map((observation) => {
    const diff = diffMeeting(current, observation);
    if (diff === null) return null;
    write = write === null ? diff : combine(write, diff);
    current = afterwards(current, diff);
    return diff;
  });
  return { diffs, write };
}

function combine(before: MeetingWrite, { row, invitees, removed, mark }: MeetingDiff): MeetingWrite {
  const all = new Map([...before.invitees, ...invitees].map((one) => [one.calendly_uri, one]));
  return {
    row: row ?? before.row,
    invitees: [...all.values()],
    removed: [...before.removed, ...removed],
    mark: mark && before.mark ? combineMarks(before.mark, mark) : (mark ?? before.mark),
  };
}

function combineMarks(before: Mark, mark: Mark): Mark {
  return {
    ...mark,
    digest: mark.digest ?? before.digest,
    read: mark.read || before.read,
    changed: mark.changed || before.changed,
    no_shows_removed: mark.no_shows_removed ?? before.no_shows_removed,
  };
}

/** What is stored after a diff was written. */
function afterwards(stored: Stored | null, { row, invitees, removed, mark }: MeetingDiff): Stored {
  const known = stored?.meeting ?? { id: '', fingerprint: null, written_at: null, no_shows_removed: null };
  const meeting = { ...known, ...row } as StoredMeeting;
  if (mark) {
    const { fingerprint, failures } = mark;
    const no_shows_removed = mark.no_shows_removed ?? known.no_shows_removed;
    Object.assign(meeting, { fingerprint, failures, no_shows_removed });
  }
  const rows = new Map(stored?.invitees);
  for (const one of invitees) rows.set(one.calendly_uri, { ...one, meeting_id: meeting.id });
  for (const uri of removed) rows.delete(uri);
  return { meeting, invitees: rows };
}
