/** SQL of `calendly_event_reads`: what was known of a meeting when its invitees were last read. */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';

/** What a write records about the reading. */
export const READ_MARK = columns({
  /** Fingerprint of the event whose invitees were read; null: they must be read (again). */
  fingerprint: 'text',
  /** The invitees were read completely just now. */
  read: 'boolean not null',
  /** The meeting or its invitees differ from before. */
  changed: 'boolean not null',
  /** Readings in a row that contradicted the event. */
  failures: 'integer not null',
  /** When no-show marks of its invitees were removed, by invitee URI; null keeps what is known. */
  noShowsRemoved: 'jsonb object',
});
const OF_MEETING = columns({ meetingId: 'text not null', ...READ_MARK.types });

export interface ReadMark extends RowOf<typeof READ_MARK> {
  noShowsRemoved: Record<string, string> | null;
}

/** The columns that a `ReadMark` fills, and their values from a row `x`. */
export const READ_COLUMNS = 'fingerprint, read_at, written_at, no_shows_removed';
export const READ_VALUES = `x.fingerprint, case when x.read then clock_timestamp() end,
  case when x.changed then clock_timestamp() else 'epoch' end, x."noShowsRemoved"`;

/** Records the readings of meetings that the caller has locked. */
export async function markReads(sql: Sql, marks: (ReadMark & { meetingId: string })[]): Promise<void> {
  if (marks.length === 0) return;
  await sql`
    insert into calendly_event_reads as r (meeting_id, ${sql.unsafe(READ_COLUMNS)})
    select m.id, ${sql.unsafe(READ_VALUES)}
    from ${rowsAsX(sql, OF_MEETING, marks)}
    join meetings m on m.id::text = x."meetingId" and m.id = any(${marks.map(({ meetingId }) => meetingId)})
    on conflict (meeting_id) do update set
      fingerprint = excluded.fingerprint,
      read_at = coalesce(excluded.read_at, r.read_at),
      written_at = greatest(excluded.written_at, r.written_at),
      no_shows_removed = coalesce(excluded.no_shows_removed, r.no_shows_removed)`;
}

/** The database's clock as canonical text: what is read after this moment is newer than what was written before it. */
export async function databaseTime(sql: Sql): Promise<string> {
  const [row] = await sql<{ now: string }[]>`select ${sql.unsafe(utcText('clock_timestamp()'))} as now`;
  return row?.now ?? '';
}
