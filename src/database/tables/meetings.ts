/**
 * SQL of `meetings`, only ever of rows whose source is Calendly. Rows of other sources are neither read nor written.
 */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';
import { READ_COLUMNS, READ_MARK, READ_VALUES, type ReadMark } from './event-reads.js';
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
const NEW_MARK = columns({ of: 'text not null', ...READ_MARK.types });

export type MeetingRow = RowOf<typeof MEETING>;

/** A stored meeting: its synced columns, and what is known of its last reading. */
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
  failures?: number;
}

/** A meeting that is not stored yet. */
export interface NewMeeting {
  row: MeetingRow;
  invitees: InviteeRow[];
  mark: ReadMark | null;
}

/** Parses JSON that a host's `location` holds as text, where that is a text column. */
function asJson<T>(value: T): T {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as T;
  } catch {
    // Written by the application: it differs from every location of Calendly, so the next write replaces it.
    return value;
  }
}

// One index lookup per id, even without statistics: the planner cannot turn a subquery with OFFSET into another join.
// Otherwise it may read all meetings of the user.
const OF_CALENDLY = "select * from meetings where meeting_source = 'calendly'";

/**
 * Locks stored meetings until the transaction ends, in the order of their external ids, so that two writers never
 * deadlock.
 * @returns the external ids that are stored
 */
export async function lockMeetings(sql: Sql, userId: string, externalIds: string[]): Promise<string[]> {
  const rows = await sql<{ external_id: string }[]>`
    select external_id from unnest(${[...externalIds].sort()}::text[]) as wanted (id)
    cross join lateral (
      ${sql.unsafe(OF_CALENDLY)} and user_id = ${userId} and external_id = wanted.id
      for update
    ) as locked`;
  return rows.map((row) => row.external_id);
}

/**
 * Locks meetings like `lockMeetings`, by the Calendly URI of their host: sent together with the lookup of the hosts.
 * @returns the external ids that are stored, by user
 */
export async function lockMeetingsOfHosts(
  sql: Sql,
  wanted: { host: string; externalId: string }[],
): Promise<Map<string, string[]>> {
  const rows = await sql<{ user_id: string; external_ids: string[] }[]>`
    select locked.user_id::text as user_id, array_agg(locked.external_id) as external_ids
    from (
      select a.user_id, wanted.id
      from unnest(
        ${wanted.map(({ host }) => host)}::text[], ${wanted.map(({ externalId }) => externalId)}::text[]
      ) as wanted (host, id)
      join calendly_accounts a on a.calendly_uri = wanted.host
      order by a.user_id, wanted.id
      offset 0
    ) as wanted
    cross join lateral (
      ${sql.unsafe(OF_CALENDLY)} and user_id = wanted.user_id and external_id = wanted.id
      for update
    ) as locked
    group by 1`;
  return new Map(rows.map((row) => [row.user_id, row.external_ids]));
}

/** The stored meetings among these external ids, as they are now. */
export async function findMeetings(
  sql: Sql,
  userId: string,
  externalIds: string[],
): Promise<Map<string, StoredMeeting>> {
  const rows = await sql<StoredMeeting[]>`
    select m.id::text as id, ${sql.unsafe(MEETING.select('m'))}, r.fingerprint, r.no_shows_removed,
      ${sql.unsafe(utcText('r.written_at'))} as written_at
    from unnest(${externalIds}::text[]) as wanted (id)
    cross join lateral (
      ${sql.unsafe(OF_CALENDLY)} and user_id = ${userId} and external_id = wanted.id
      offset 0
    ) as m
    left join lateral (select * from calendly_event_reads where meeting_id = m.id offset 0) as r on true`;
  return new Map(
    rows.map((row) => [row.external_id, { ...row, location: asJson(row.location), raw: asJson(row.raw) }]),
  );
}

/**
 * Inserts meetings with their invitees and read marks, in one statement. A meeting that another transaction has
 * inserted in the meantime is left alone and missing in the result: the caller looks again and finds it. Rows are
 * inserted in the order of their ids, so that two writers of the same new meetings never deadlock.
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
  // The column comes with migration 022, and so do webhooks.
  const [column, value] = viaWebhook ? [sql`synced_via_webhook,`, sql`true,`] : [sql``, sql``];
  const inserted = await sql<{ id: string; external_id: string }[]>`
    with inserted as (
      insert into meetings (user_id, meeting_source, last_calendar_sync, ${column} ${sql.unsafe(MEETING.names)})
      select ${userId}, 'calendly', now(), ${value} ${sql.unsafe(MEETING.from('x'))}
      from ${rowsAsX(sql, MEETING, rows)}
      order by external_id
      on conflict (user_id, meeting_source, external_id) do nothing
      returning id, external_id
    ), invitees as (
      insert into meeting_invitees (meeting_id, ${sql.unsafe(INVITEE.names)})
      select m.id, ${sql.unsafe(INVITEE.from('x'))}
      from ${rowsAsX(sql, NEW_INVITEE, invitees)}
      join inserted m on m.external_id = x."of"
    ), marks as (
      insert into calendly_event_reads (meeting_id, ${sql.unsafe(READ_COLUMNS)})
      select m.id, ${sql.unsafe(READ_VALUES)}
      from ${rowsAsX(sql, NEW_MARK, marks)}
      join inserted m on m.external_id = x."of"
    )
    select id::text as id, external_id from inserted`;
  return new Map(inserted.map(({ id, external_id }) => [external_id, id]));
}

/** Overwrites stored meetings, which the caller has locked and found to differ. */
export async function updateMeetings(
  sql: Sql,
  rows: (MeetingRow & { id: string })[],
  viaWebhook: boolean,
): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    update meetings m
    set ${sql.unsafe(MEETING.assign('x', 'external_id'))}, ${viaWebhook ? sql`synced_via_webhook = true,` : sql``}
      last_calendar_sync = now()
    from ${rowsAsX(sql, STORED, rows)}
    where m.id::text = x.id and m.id = any(${rows.map(({ id }) => id)})`;
}

/**
 * Marks a meeting as deleted because Calendly no longer has it, or no longer shows it to us.
 * @returns `deleted` if it was active before, `updated` if only the reason changed
 */
export async function markDeleted(
  sql: Sql,
  userId: string,
  externalId: string,
  reason: 'gone' | 'access_lost',
): Promise<'deleted' | 'updated' | 'unchanged'> {
  const [before] = await sql<{ is_deleted: boolean; deleted_reason: string | null }[]>`
    select is_deleted, deleted_reason from meetings
    where user_id = ${userId} and meeting_source = 'calendly' and external_id = ${externalId}
    for update`;
  if (!before || before.deleted_reason === reason) return 'unchanged';
  await sql`
    update meetings
    set is_deleted = true, deleted_reason = ${reason}, last_calendar_sync = now(),
      deleted_at = case when is_deleted then coalesce(deleted_at, now()) else now() end
    where user_id = ${userId} and meeting_source = 'calendly' and external_id = ${externalId}`;
  return before.is_deleted ? 'updated' : 'deleted';
}

/**
 * URIs of stored meetings that start in [from, to) and are missing in a complete listing of that range. Those already
 * marked as gone or lost are left out.
 */
export async function findUnlisted(
  sql: Sql,
  userId: string,
  from: string,
  to: string,
  listedIds: string[],
): Promise<string[]> {
  const rows = await sql<{ calendly_uri: string }[]>`
    select coalesce(calendly_uri, 'https://api.calendly.com/scheduled_events/' || external_id) as calendly_uri
    from meetings
    where user_id = ${userId} and meeting_source = 'calendly'
      and start_time >= ${from}::text::timestamptz and start_time < ${to}::text::timestamptz
      and not (is_deleted and coalesce(deleted_reason, '') in ('gone', 'access_lost', 'reassigned'))
      and external_id <> all(${listedIds})`;
  return rows.map((row) => row.calendly_uri);
}

/**
 * URIs of active meetings that ended over 24 h ago and whose invitees were last read before that time was over: a
 * no-show is marked after the meeting and changes nothing else.
 */
export async function findDueForNoShows(sql: Sql, userId: string): Promise<string[]> {
  const rows = await sql<{ calendly_uri: string }[]>`
    select m.calendly_uri
    from meetings m
    join calendly_event_reads r on r.meeting_id = m.id
    where m.user_id = ${userId} and m.meeting_source = 'calendly' and not m.is_deleted
      and m.calendly_uri is not null and m.invitees_total is distinct from 0
      and m.end_time < now() - interval '24 hours'
      and r.read_at < m.end_time + interval '24 hours'`;
  return rows.map((row) => row.calendly_uri);
}

/** The start of a stored meeting as canonical text; null when it is not stored or has none. */
export async function findStart(sql: Sql, userId: string, externalId: string): Promise<string | null> {
  const [row] = await sql<{ start_time: string | null }[]>`
    select ${sql.unsafe(utcText('start_time'))} as start_time from meetings
    where user_id = ${userId} and meeting_source = 'calendly' and external_id = ${externalId}`;
  return row?.start_time ?? null;
}

/** The users under whom meetings are stored, by external id: the owners of a delivery that does not name its host. */
export async function findOwners(sql: Sql, externalIds: string[]): Promise<Map<string, string[]>> {
  const rows = await sql<{ external_id: string; user_ids: string[] }[]>`
    select external_id, array_agg(m.user_id::text order by m.user_id) as user_ids
    from meetings m
    where m.meeting_source = 'calendly' and m.external_id = any(${externalIds})
      and m.user_id in (select user_id from calendly_accounts)
    group by external_id`;
  return new Map(rows.map((row) => [row.external_id, row.user_ids]));
}
