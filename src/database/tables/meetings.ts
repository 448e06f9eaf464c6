/**
 * SQL of `meetings`, which may belong to another application: rows are found through `calendly_events` and by their
 * id, never by columns that the application fills too. Rows that `calendly_events` does not name are neither read
 * nor written.
 */

import { CalendlySyncError } from '../../errors.js';
import { parseExact } from '../../exact-json.js';
import type { Sql } from '../connection.js';
import { columns, hasReturned, isJson, type Json, type RowOf, rowsAsX, utcText } from '../table.js';
import { accountOf, MARK, MARK_COLUMNS, MARK_VALUES, type Mark } from './calendly-events.js';
import { INVITEE, type InviteeRow } from './invitees.js';

/** The synced columns. */
export const MEETING = columns({
  external_id: 'text not null',
  calendly_uri: 'text not null',
  title: 'text',
  status: 'text',
  start_time: 'timestamptz',
  end_time: 'timestamptz',
  event_type_uri: 'text',
  location_type: 'text',
  location: 'jsonb object',
  join_url: 'text',
  invitees_total: 'integer',
  invitees_active: 'integer',
  is_deleted: 'boolean not null',
  deleted_at: 'timestamptz',
  deleted_reason: 'text',
  canceled_by: 'text',
  cancel_reason: 'text',
  canceled_at: 'timestamptz',
  calendly_created_at: 'timestamptz',
  calendly_updated_at: 'timestamptz',
  raw: 'jsonb object not null',
});
const STORED = columns({ id: 'text not null', ...MEETING.types });
const NEW_INVITEE = columns({ of: 'text not null', ...INVITEE.types });
const NEW_EVENT = columns({ of: 'text not null', external_id: 'text not null', ...MARK.types });

export type MeetingRow = RowOf<typeof MEETING>;

/** A stored meeting: its synced columns, and what is remembered of it. */
export interface StoredMeeting extends Omit<MeetingRow, 'raw'> {
  id: string;
  raw: MeetingRow['raw'] | null;
  /** Fingerprint of the event when its invitees were last read; null: they must be read. */
  fingerprint: string | null;
  /** When its content was last written, as canonical text (database clock). */
  written_at: string | null;
  /** When no-show marks of its invitees were removed, by invitee URI. */
  no_shows_removed: Record<string, string> | null;
  /** Readings in a row that contradicted the event. */
  failures: number;
}

/** A meeting that is not stored yet. */
export interface NewMeeting {
  row: MeetingRow;
  invitees: InviteeRow[];
  mark: Mark;
}

/**
 * A stored row as it was written. An application's `location` or `raw` may be a text column; such a location is not
 * compared, because it may be the application's own: it counts as what `raw` says. In a row without `calendly_uri`,
 * which the sync has not written yet, `raw` is the application's. A null `is_deleted` is not deleted.
 */
function fromHost(row: StoredMeeting): StoredMeeting {
  const stored = typeof row.raw === 'string' ? parseObject(row.raw) : row.raw;
  const raw = (row.calendly_uri as string | null) === null ? null : stored;
  const location = typeof row.location === 'string' ? locationIn(raw) : row.location;
  return { ...row, raw, location, is_deleted: row.is_deleted ?? false };
}

function parseObject(text: string): Json | null {
  try {
    const value = parseExact(text);
    return isJson(value) ? value : null;
  } catch {
    return null;
  }
}

function locationIn(raw: Json | null): Json | null {
  return isJson(raw?.location) ? raw.location : null;
}

/** The stored meetings among these external ids, as they are now. One index lookup for each, as in `lockEvents`. */
export async function findMeetings(
  sql: Sql,
  userId: string,
  externalIds: string[],
): Promise<Map<string, StoredMeeting>> {
  const rows = await sql<StoredMeeting[]>`
    select m.id::text as id, ${sql.unsafe(MEETING.select('m'))}, e.fingerprint, e.no_shows_removed, e.failures,
      e.external_id, -- the event's, in place of what the row holds
      ${sql.unsafe(utcText('e.written_at'))} as written_at
    from unnest(${externalIds}::text[]) as wanted (id)
    cross join lateral (
      select * from calendly_events where user_id = ${userId} and external_id = wanted.id
      offset 0
    ) as e
    cross join lateral (select * from meetings where id = e.meeting_id offset 0) as m`;
  return new Map(rows.map((row) => [row.external_id, fromHost(row)]));
}

/**
 * Inserts meetings with their events and invitees, in one statement. A meeting whose event is stored already is
 * left alone and missing in the result: the caller looks again and finds it. If another transaction inserts the
 * same one at this moment, the statement fails (`isLostRace`) and writes nothing. For webhooks it fails in both cases:
 * COMMIT is then on its way.
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
    ofMeeting.map((invitee) => ({ of: row.calendly_uri, ...invitee })),
  );
  const events = meetings.map(({ row, mark }) => ({
    of: row.calendly_uri,
    external_id: row.external_id,
    ...mark,
  }));
  // The column comes with migration 022, and so do webhooks.
  const [column, value] = viaWebhook ? [sql`synced_via_webhook,`, sql`true,`] : [sql``, sql``];
  // Only this tool fills calendly_uri, so it says which of the new rows is which.
  const inserted = await sql<{ id: string; external_id: string }[]>`
    with inserted as (
      insert into meetings (user_id, meeting_source, last_calendar_sync, ${column} ${sql.unsafe(MEETING.names)})
      select ${userId}, 'calendly', now(), ${value} ${sql.unsafe(MEETING.from('x'))}
      from ${rowsAsX(sql, MEETING, rows)}
      where not exists (
        select from calendly_events e where e.user_id = ${userId} and e.external_id = x.external_id
        offset 0
      )
      order by external_id collate "C"
      returning id, calendly_uri
    ), events as (
      insert into calendly_events (user_id, meeting_id, external_id, account_id, ${sql.unsafe(MARK_COLUMNS)})
      select ${userId}, m.id, x.external_id, ${accountOf(sql, sql`a.user_id = ${userId}`)}, ${sql.unsafe(MARK_VALUES)}
      from ${rowsAsX(sql, NEW_EVENT, events)}
      join inserted m on m.calendly_uri = x."of"
      order by x.external_id collate "C"
      returning meeting_id, external_id
    ), invitees as (
      insert into meeting_invitees (meeting_id, ${sql.unsafe(INVITEE.names)})
      select m.id, ${sql.unsafe(INVITEE.from('x'))}
      from ${rowsAsX(sql, NEW_INVITEE, invitees)}
      join inserted m on m.calendly_uri = x."of"
    )
    select meeting_id::text as id, external_id from events
    ${viaWebhook ? sql`where ${hasReturned(sql, 'events', rows.length)}` : sql``}`;
  return new Map(inserted.map(({ id, external_id }) => [external_id, id]));
}

/**
 * Overwrites stored meetings, whose events the caller has locked and found to differ. In a row that another
 * integration wrote, who owns it, its source and its own id stay as they are.
 * @throws CalendlySyncError `database_failed` if the database discards an update
 */
export async function updateMeetings(
  sql: Sql,
  userId: string,
  rows: (MeetingRow & { id: string })[],
  viaWebhook: boolean,
): Promise<void> {
  if (rows.length === 0) return;
  const update = sql`
    update meetings m
    set ${sql.unsafe(MEETING.assign('x', 'external_id'))}, ${viaWebhook ? sql`synced_via_webhook = true,` : sql``}
      user_id = coalesce(m.user_id, ${userId}), meeting_source = coalesce(m.meeting_source, 'calendly'),
      external_id = coalesce(m.external_id, x.external_id), last_calendar_sync = now()
    from ${rowsAsX(sql, STORED, rows)}
    where m.id::text = x.id and m.id = any(${rows.map(({ id }) => id)})`;
  if (viaWebhook) {
    await sql`
      with updated as (${update} returning m.id) select where ${hasReturned(sql, 'updated', rows.length)}`;
    return;
  }
  const { count } = await update;
  if (count < rows.length) throw updateDiscarded(rows.map(({ calendly_uri: uri }) => uri));
}

/** Why Calendly does not have a meeting, or not for us, any more. */
export type MissingReason = 'gone' | 'access_lost';

/** A meeting that was marked as deleted: the facts before. */
export interface MarkedDeleted
  extends Pick<MeetingRow, 'external_id' | 'title' | 'start_time' | 'status' | 'deleted_reason'> {
  id: string;
  was_deleted: boolean;
}

const MISSING = columns({ externalId: 'text not null', reason: 'text not null' });

/**
 * Marks meetings as deleted whose events the caller has locked.
 * @returns those that were not marked so before
 * @throws CalendlySyncError `database_failed` if the database discards an update
 */
export async function markDeleted(
  sql: Sql,
  userId: string,
  missing: { externalId: string; reason: MissingReason }[],
): Promise<MarkedDeleted[]> {
  if (missing.length === 0) return [];
  const rows = await sql<(MarkedDeleted & { is_marked: boolean })[]>`
    with missing as (
      select e.external_id, m.id, x.reason, m.is_deleted is true as was_deleted, m.title::text as title,
        ${sql.unsafe(utcText('m.start_time'))} as start_time, m.status::text as status,
        m.deleted_reason::text as deleted_reason
      from ${rowsAsX(sql, MISSING, missing)}
      join calendly_events e on e.user_id = ${userId} and e.external_id = x."externalId"
      join meetings m on m.id = e.meeting_id
      where m.is_deleted is not true or m.deleted_reason is distinct from x.reason
    ), marked as (
      update meetings m
      set is_deleted = true, deleted_reason = missing.reason, last_calendar_sync = now(),
        deleted_at = case when m.is_deleted then coalesce(m.deleted_at, now()) else now() end
      from missing where m.id = missing.id
      returning m.id
    ), remembered as (
      update calendly_events e set digest = '', recheck_at = null
      from missing where e.meeting_id = missing.id
    )
    select id::text as id, external_id, was_deleted, title, start_time, status, deleted_reason,
      id in (select id from marked) as is_marked
    from missing`;
  const discarded = rows.filter((row) => !row.is_marked);
  if (discarded.length > 0) throw updateDiscarded(discarded.map(({ external_id: id }) => id));
  return rows.map(({ is_marked: _, ...row }) => row);
}

function updateDiscarded(meetings: string[]): CalendlySyncError {
  const message = `The database discarded an update of ${meetings.join(', ')}.`;
  return new CalendlySyncError('database_failed', message, {
    hint: 'A trigger or rule on meetings drops updates.',
  });
}
