/** SQL of a new meeting: its row, its invitees and what is remembered of the reading arrive in one statement. */
import type { InviteeRow, MeetingRow } from '../../resources/meetings/rows.js';
import type { Sql } from '../connection.js';
import type { ReadMark } from './event-reads.js';
import { INVITEE_NAMES, INVITEE_RECORD } from './invitees.js';
import { MEETING_NAMES, MEETING_RECORD } from './meetings.js';

/** A meeting that is not stored yet. */
export interface NewMeeting {
  row: MeetingRow;
  invitees: InviteeRow[];
  mark: ReadMark | null;
}

const INVITEES_OF_X = INVITEE_NAMES.replaceAll(/\w+/g, 'x.$&');

/**
 * Inserts meetings with all that belongs to them. One that another transaction inserted in the meantime is left alone and missing
 * in the answer: the caller looks again and finds it. In the order of ids, so that two writers of the same new meetings never deadlock.
 * @returns id of each inserted row, by external id
 */
export async function insertMeetings(
  sql: Sql,
  userId: string,
  meetings: NewMeeting[],
  viaWebhook: boolean,
): Promise<Map<string, string>> {
  if (meetings.length === 0) return new Map();
  const rows = meetings.map(({ row }) => row);
  const invitees = meetings.flatMap(({ row, invitees: ofMeeting }) =>
    ofMeeting.map((invitee) => ({ of: row.external_id, ...invitee })),
  );
  const marks = meetings.flatMap(({ row, mark }) => (mark ? { of: row.external_id, ...mark } : []));
  const names = sql.unsafe(MEETING_NAMES);
  // The column comes with migration 022, and so do webhooks.
  const [column, value] = viaWebhook ? [sql`synced_via_webhook,`, sql`true,`] : [sql``, sql``];
  const inserted = await sql<{ id: string; external_id: string }[]>`
    with inserted as (
      insert into meetings (user_id, meeting_source, last_calendar_sync, ${column} ${names})
      select ${userId}, 'calendly', now(), ${value} ${names}
      from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as x(${sql.unsafe(MEETING_RECORD)})
      order by external_id
      on conflict (user_id, meeting_source, external_id) do nothing
      returning id, external_id
    ), invitees as (
      insert into meeting_invitees (meeting_id, ${sql.unsafe(INVITEE_NAMES)})
      select m.id, ${sql.unsafe(INVITEES_OF_X)}
      from jsonb_to_recordset(${JSON.stringify(invitees)}::text::jsonb) as x("of" text, ${sql.unsafe(INVITEE_RECORD)})
      join inserted m on m.external_id = x."of"
    ), marks as (
      insert into calendly_event_reads (meeting_id, fingerprint, read_at, written_at, no_shows_removed)
      select m.id, x.fingerprint, case when x.read then clock_timestamp() end, clock_timestamp(), x."noShowsRemoved"
      from jsonb_to_recordset(${JSON.stringify(marks)}::text::jsonb)
        as x("of" text, fingerprint text, read boolean, "noShowsRemoved" jsonb)
      join inserted m on m.external_id = x."of"
    )
    select id::text as id, external_id from inserted`;
  return new Map(inserted.map(({ id, external_id }) => [external_id, id]));
}
