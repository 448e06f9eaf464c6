/**
 * SQL of `calendly_events`: which event is which row of `meetings`, and what was known of it last. Rows are found,
 * locked and remembered here, because `meetings` may belong to another application and hold other forms of the same
 * ids.
 */
import type { ISql, PendingQuery, Row } from 'postgres';
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';

/** What a write of a meeting remembers of it. Null keeps what is known, except the fingerprint. */
export const MARK = columns({
  start_time: 'timestamptz',
  end_time: 'timestamptz',
  /** Digest of the listed row; `''` if the row comes from elsewhere: it equals no listed row. */
  digest: 'text',
  /** Fingerprint of the event whose invitees were read; null: they must be read (again). */
  fingerprint: 'text',
  /** The invitees were read completely just now. */
  read: 'boolean not null',
  /** The meeting or its invitees differ from before. */
  changed: 'boolean not null',
  /** Readings in a row that contradicted the event. */
  failures: 'integer not null',
  /** The meeting takes place and has invitees: a no-show may be marked after its end. */
  awaitsNoShows: 'boolean not null',
  /** When no-show marks of its invitees were removed, by invitee URI. */
  no_shows_removed: 'jsonb object',
});
const OF_MEETING = columns({ meetingId: 'text not null', ...MARK.types });

export interface Mark extends RowOf<typeof MARK> {
  no_shows_removed: Record<string, string> | null;
}

/** The columns that a `Mark` fills, and their values from a row `x`. */
export const MARK_COLUMNS =
  'start_time, end_time, digest, fingerprint, read_at, recheck_at, failures, no_shows_removed';
export const MARK_VALUES = `x.start_time, x.end_time, x.digest, x.fingerprint,
  case when x.read then clock_timestamp() end,
  ${recheckAt('case when x.read then clock_timestamp() end', 'x.end_time')}, x.failures, x.no_shows_removed`;

/**
 * A no-show is marked after the meeting, and nothing else reports it: invitees are read again a day after the end,
 * unless the last reading is later than that.
 */
function recheckAt(readAt: string, end: string): string {
  const recheck = `${end} + interval '24 hours'`;
  return `case when x."awaitsNoShows" and ${readAt} < ${recheck} then ${recheck} end`;
}

/** The account that brings the meetings of a user: their own, or the one that lists for them. @param condition on `a` */
export function accountOf(sql: Sql, condition: PendingQuery<Row[]>): PendingQuery<Row[]> {
  return sql`(
    select case a.kind when 'member' then a.organization_account_id else a.id end
    from calendly_accounts a where ${condition})`;
}

/** Remembers what was written of meetings whose events the caller has locked. */
export async function markEvents(sql: Sql, marks: (Mark & { meetingId: string })[]): Promise<void> {
  if (marks.length === 0) return;
  const readAt = 'case when x.read then clock_timestamp() else e.read_at end';
  await sql`
    update calendly_events e set
      start_time = coalesce(x.start_time, e.start_time), end_time = coalesce(x.end_time, e.end_time),
      digest = coalesce(x.digest, e.digest), fingerprint = x.fingerprint, read_at = ${sql.unsafe(readAt)},
      recheck_at = ${sql.unsafe(recheckAt(readAt, 'coalesce(x.end_time, e.end_time)'))},
      written_at = case when x.changed then clock_timestamp() else e.written_at end, failures = x.failures,
      no_shows_removed = coalesce(x.no_shows_removed, e.no_shows_removed),
      account_id = ${accountOf(sql, sql`a.user_id = e.user_id`)}
    from ${rowsAsX(sql, OF_MEETING, marks)}
    where e.meeting_id::text = x."meetingId" and e.meeting_id = any(${marks.map(({ meetingId }) => meetingId)})`;
}

/** The database's clock as canonical text: what is read after this moment is newer than what was written before it. */
export async function databaseTime(sql: Sql): Promise<string> {
  const [row] = await sql<{ now: string }[]>`select ${sql.unsafe(utcText('clock_timestamp()'))} as now`;
  return row?.now ?? '';
}

/**
 * Locks stored events until the transaction ends, in the order of their ids, so that two writers never deadlock.
 * One index lookup for each id, whatever the planner expects of a table without statistics.
 * @returns the external ids that are stored
 */
export async function lockEvents(sql: Sql, userId: string, externalIds: string[]): Promise<string[]> {
  const rows = await sql<{ external_id: string }[]>`
    select locked.external_id
    from (select id from unnest(${externalIds}::text[]) as ids (id) order by id collate "C" offset 0) as wanted
    cross join lateral (
      select external_id from calendly_events where user_id = ${userId} and external_id = wanted.id
      for update
    ) as locked`;
  return rows.map((row) => row.external_id);
}

/**
 * The same for events of Calendly users, before it is known who they are here: it travels with the statement that asks.
 * @returns the external ids that are stored, by user
 */
export async function lockEventsOfHosts(
  sql: Sql,
  wanted: { host: string; externalId: string }[],
): Promise<Map<string, string[]>> {
  const hosts = wanted.map(({ host }) => host);
  const ids = wanted.map(({ externalId }) => externalId);
  const rows = await sql<{ user_id: string; external_ids: string[] }[]>`
    select locked.user_id::text as user_id, array_agg(locked.external_id) as external_ids
    from (
      select a.user_id, wanted.id
      from unnest(${hosts}::text[], ${ids}::text[]) as wanted (host, id)
      join calendly_accounts a on a.calendly_uri = wanted.host
      order by a.user_id, wanted.id collate "C"
      offset 0
    ) as wanted
    cross join lateral (
      select user_id, external_id from calendly_events
      where user_id = wanted.user_id and external_id = wanted.id
      for update
    ) as locked
    group by 1`;
  return new Map(rows.map((row) => [row.user_id, row.external_ids]));
}

/** The digest of a meeting that Calendly has although a listing of its range lacked it. */
const PRESENT_THOUGH_UNLISTED = 'unlisted';

/** The URI of the event of a row `e` joined to its meeting `m`. */
const URI = "coalesce(m.calendly_uri::text, 'https://api.calendly.com/scheduled_events/' || e.external_id)";

/** A listed event, as it is compared with what is stored. */
export interface ListedEvent {
  externalId: string;
  digest: string;
  fingerprint: string;
}

/** A range of starts that a listing has covered completely. Times are canonical text. */
export interface ListedRange {
  from: string;
  to: string;
  listedIds: string[];
  /** Also those that were present before although they were not listed. */
  all: boolean;
}

/**
 * Compares listed events with what is stored, in one statement. `id`: a listed event that is not stored just as it is
 * listed now, with its invitees. `uri`: a stored meeting that starts in [from, to) and that a complete listing of that
 * range did not show. What is known to be gone or lost is not asked about again, and a row that no listing and no
 * delivery has ever contained cannot be missing.
 */
export function compareListed(
  sql: ISql,
  userId: string,
  listed: ListedEvent[],
  { from, to, listedIds, all }: ListedRange,
): PendingQuery<({ id: string; uri: null } | { id: null; uri: string })[]> {
  return sql`
    select listed.id, null as uri
    from unnest(
      ${listed.map(({ externalId }) => externalId)}::text[], ${listed.map(({ digest }) => digest)}::text[],
      ${listed.map(({ fingerprint }) => fingerprint)}::text[]
    ) as listed (id, digest, fingerprint)
    left join lateral (
      select digest, fingerprint from calendly_events where user_id = ${userId} and external_id = listed.id
      offset 0
    ) as e on true
    where (e.digest, e.fingerprint) is distinct from (listed.digest, listed.fingerprint)
    union all
    select null, ${sql.unsafe(URI)}
    from calendly_events e join meetings m on m.id = e.meeting_id
    where e.user_id = ${userId} and e.digest is not null and (${all} or e.digest <> ${PRESENT_THOUGH_UNLISTED})
      and e.start_time >= ${from}::text::timestamptz and e.start_time < ${to}::text::timestamptz
      and (m.is_deleted is not true or coalesce(m.deleted_reason, '') not in ('gone', 'access_lost', 'reassigned'))
      and e.external_id <> all(${listedIds})`;
}

/** Remembers that Calendly has meetings that it does not list, so that not every run asks for them. */
export async function rememberPresent(sql: Sql, userId: string, externalIds: string[]): Promise<void> {
  if (externalIds.length === 0) return;
  await sql`
    update calendly_events set digest = ${PRESENT_THOUGH_UNLISTED}
    where user_id = ${userId} and external_id = any(${externalIds}) and digest <> ${PRESENT_THOUGH_UNLISTED}`;
}

/** The number of meetings that are stored in [from, to). */
export async function countStored(sql: Sql, userId: string, from: string, to: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from calendly_events
    where user_id = ${userId} and start_time >= ${from}::text::timestamptz and start_time < ${to}::text::timestamptz`;
  return row?.count ?? 0;
}

/** URIs of meetings whose invitees are due for a second look, see `recheckAt`. */
export async function findDueForNoShows(sql: Sql, userId: string): Promise<string[]> {
  const rows = await sql<{ uri: string }[]>`
    select m.calendly_uri as uri
    from calendly_events e join meetings m on m.id = e.meeting_id
    where e.user_id = ${userId} and e.recheck_at < now() and m.is_deleted is not true and m.calendly_uri is not null`;
  return rows.map(({ uri }) => uri);
}

/** What the audit reads again, of a row `e` joined to its meeting `m`: what Calendly still has, with invitees. */
export const IS_AUDITED = `(e.read_at is not null and m.calendly_uri is not null
  and m.invitees_total::text is distinct from '0'
  and coalesce(m.deleted_reason, '') not in ('gone', 'access_lost', 'reassigned'))`;

/**
 * URIs of the thirtieth part of a user's meetings that start in [from, to) whose invitees were read longest ago: with
 * one such audit a day, each of them is read every 30 days.
 */
export async function findDueForAudit(sql: Sql, userId: string, from: string, to: string): Promise<string[]> {
  const rows = await sql<{ uri: string }[]>`
    with candidates as (
      select m.calendly_uri as uri, e.read_at
      from calendly_events e join meetings m on m.id = e.meeting_id
      where e.user_id = ${userId} and ${sql.unsafe(IS_AUDITED)}
        and e.start_time >= ${from}::text::timestamptz and e.start_time < ${to}::text::timestamptz
    )
    select uri from candidates where read_at < now() - interval '20 hours'
    order by read_at limit (select ceil(count(*) / 30.0) from candidates)`;
  return rows.map(({ uri }) => uri);
}

/** Makes the next sync read the invitees of all of a user's meetings again. */
export async function forgetReadings(sql: Sql, userId: string): Promise<void> {
  await sql`update calendly_events set fingerprint = null where user_id = ${userId}`;
}

/** What decides whether Calendly's answer about one meeting changes anything. */
export interface Remembered {
  fingerprint: string | null;
  createdAt: string | null;
  /** When a delivery last wrote it; null if a poll did. Times are canonical text. */
  deliveredAt: string | null;
  startTime: string | null;
}

/** What is remembered of a stored meeting; null if it is not stored. */
export async function findRemembered(
  sql: Sql,
  userId: string,
  externalId: string,
): Promise<Remembered | null> {
  const [row] = await sql<Remembered[]>`
    select e.fingerprint, ${sql.unsafe(utcText('m.calendly_created_at'))} as "createdAt",
      case when e.digest = '' then ${sql.unsafe(utcText('e.written_at'))} end as "deliveredAt",
      ${sql.unsafe(utcText('e.start_time'))} as "startTime"
    from calendly_events e join meetings m on m.id = e.meeting_id
    where e.user_id = ${userId} and e.external_id = ${externalId}`;
  return row ?? null;
}

/** The users under whom meetings are stored, by external id: whose a delivery is that does not name its host. */
export async function findOwners(sql: Sql, externalIds: string[]): Promise<Map<string, string[]>> {
  const rows = await sql<{ external_id: string; user_ids: string[] }[]>`
    select e.external_id, array_agg(e.user_id::text order by e.user_id) as user_ids
    from calendly_accounts a
    cross join unnest(${externalIds}::text[]) as wanted (id)
    join calendly_events e on e.user_id = a.user_id and e.external_id = wanted.id
    group by 1`;
  return new Map(rows.map((row) => [row.external_id, row.user_ids]));
}

/** URIs of active meetings that are stored in [from, to) and that this tool has written. */
export async function findActive(sql: Sql, userId: string, from: string, to: string): Promise<string[]> {
  const rows = await sql<{ uri: string }[]>`
    select ${sql.unsafe(URI)} as uri
    from calendly_events e join meetings m on m.id = e.meeting_id
    where e.user_id = ${userId} and e.digest is not null and m.is_deleted is not true
      and e.start_time >= ${from}::text::timestamptz and e.start_time < ${to}::text::timestamptz`;
  return rows.map(({ uri }) => uri);
}
