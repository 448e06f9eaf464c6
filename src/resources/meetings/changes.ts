/** What a program is told about a meeting that changed: the facts that matter, before and after. Pure. */
import type { MeetingRow } from '../../database/tables/meetings.js';

/** The facts of a meeting that a change reports. */
export type MeetingFacts = Pick<
  MeetingRow,
  'title' | 'start_time' | 'status' | 'is_deleted' | 'deleted_reason'
>;

/** What happened to a meeting's row. `unknown`: the observation did not include the event. */
export type MeetingOutcome =
  | 'new'
  | 'recorded_canceled'
  | 'updated'
  | 'deleted'
  | 'restored'
  | 'unchanged'
  | 'unknown';

/** What applying one observation did. */
export interface Applied {
  uri: string;
  /** `users.id` of the host. */
  userId: string;
  /** `meetings.id`; null if only invitees were observed and the meeting is not stored. */
  meetingId: string | null;
  outcome: MeetingOutcome;
  /** The facts before (null: it was not stored) and after (null: it is not stored). */
  before: MeetingFacts | null;
  after: MeetingFacts | null;
  /** Why an answer was accepted although it contradicts itself. */
  warning: string | null;
  invitees: { new: number; updated: number; removed: number };
}

/** One changed meeting. */
export interface MeetingChange {
  type: 'meeting';
  /** `invitees`: only invitees changed. */
  outcome: Exclude<MeetingOutcome, 'unchanged' | 'unknown'> | 'invitees';
  /** `meetings.id`; null if nothing was written, as in a dry run. */
  meetingId: string | null;
  /** Null if the meeting was not stored before. */
  before: MeetingFacts | null;
  after: MeetingFacts;
  source: 'poll' | 'webhook';
}

/** The facts of a row, or of a stored meeting. In a host's row `is_deleted` may be null, which means false. */
export function factsOf(row: MeetingFacts): MeetingFacts {
  const { title, start_time, status, deleted_reason } = row;
  return { title, start_time, status, is_deleted: row.is_deleted === true, deleted_reason };
}

/** The change to report; null if neither the meeting's row nor its invitees changed. */
export function meetingChange(
  { outcome: ofRow, before, after, invitees, meetingId }: Applied,
  source: 'poll' | 'webhook',
): MeetingChange | null {
  if (after === null) return null;
  const isUnchanged = ofRow === 'unchanged' || ofRow === 'unknown';
  if (isUnchanged && invitees.new + invitees.updated + invitees.removed === 0) return null;
  const outcome = isUnchanged ? 'invitees' : ofRow;
  return { type: 'meeting', outcome, meetingId, before, after, source };
}
