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

/** One changed meeting. */
export interface MeetingChange {
  type: 'meeting';
  outcome: MeetingOutcome;
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

/** The change to report; null if the meeting's row did not change. */
export function meetingChange(
  diff: { outcome: MeetingOutcome; before: MeetingFacts | null; after: MeetingFacts },
  meetingId: string | null,
  source: 'poll' | 'webhook',
): MeetingChange | null {
  const { outcome, before, after } = diff;
  if (outcome === 'unchanged' || outcome === 'unknown') return null;
  return { type: 'meeting', outcome, meetingId, before, after, source };
}
