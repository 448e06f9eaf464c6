/** SQL of `calendly_event_reads`: what was known of a meeting when its invitees were last read. */
import type { Sql } from '../connection.js';

/** What a write leaves behind. */
export interface ReadMark {
  /** Fingerprint of the event whose invitees were read; null: they must be read (again). */
  fingerprint: string | null;
  /** The invitees were read completely just now. */
  read: boolean;
  /** When no-show marks of its invitees were taken back, by invitee URI; null leaves what is known. */
  noShowsRemoved: Record<string, string> | null;
}

/** Remembers the readings of meetings that the caller has locked. */
export async function markReads(sql: Sql, marks: (ReadMark & { meetingId: string })[]): Promise<void> {
  if (marks.length === 0) return;
  await sql`
    insert into calendly_event_reads as r (meeting_id, fingerprint, read_at, written_at, no_shows_removed)
    select m.id, x.fingerprint, case when x.read then clock_timestamp() end, clock_timestamp(), x."noShowsRemoved"
    from jsonb_to_recordset(${JSON.stringify(marks)}::text::jsonb)
      as x("meetingId" text, fingerprint text, read boolean, "noShowsRemoved" jsonb)
    join meetings m on m.id::text = x."meetingId" and m.id = any(${marks.map(({ meetingId }) => meetingId)})
    on conflict (meeting_id) do update set
      fingerprint = excluded.fingerprint,
      read_at = coalesce(excluded.read_at, r.read_at),
      written_at = excluded.written_at,
      no_shows_removed = coalesce(excluded.no_shows_removed, r.no_shows_removed)`;
}

/** The database's clock as canonical text: what is read after this moment is newer than what was written before it. */
export async function databaseTime(sql: Sql): Promise<string> {
  const [row] = await sql<{ now: string }[]>`
    select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`;
  return row?.now ?? '';
}
