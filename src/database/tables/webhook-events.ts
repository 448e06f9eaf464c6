/**
 * SQL of `calendly_webhook_events`: a ledger with each change once. `processed_at` is null while a delivery is to be
 * applied: it waits for a lock (`waits_for`) or could not be applied (`error`). One whose hosts are not connected here
 * is processed, and found by `host_uris` when one of them is. The application may insert rows of its own: only those
 * whose signature we verified are ever applied. Only where migration 022 is applied.
 */
import type { ISql } from 'postgres';
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX } from '../table.js';
import { HAS_BEGUN } from '../transaction.js';

/** One delivery as it is stored. */
const ENTRY = columns({
  eventId: 'text not null',
  eventType: 'text not null',
  /** The parsed body, or its text where Postgres takes no other form. */
  body: 'jsonb not null',
  inviteeUri: 'text',
  occurredAt: 'timestamptz',
  /** URIs of the Calendly users whose meeting it is; the first that is known here becomes `user_id`. */
  hosts: 'text[] not null',
  /** It changes no meeting: processed as soon as it is stored. */
  done: 'boolean not null',
  error: 'text',
  /** Who holds the lock that it waits for. */
  waitsFor: 'text',
});

export type LedgerEntry = RowOf<typeof ENTRY>;

/**
 * Inserts deliveries that are not stored yet. Those that name a host count as processed, because the caller applies
 * them in the same transaction if the host is known. Waits for a transaction that is inserting the same one; in the
 * order of ids, so that writers never deadlock. Only in a transaction with `limits`.
 * @param discardUnmatched stores those of unknown hosts without their body, so that they are never applied
 * @returns the event ids that are new
 */
export async function insertEvents(
  sql: Sql,
  entries: LedgerEntry[],
  discardUnmatched = false,
): Promise<Set<string>> {
  const rows = await sql<{ event_id: string }[]>`
    insert into calendly_webhook_events as e (event_id, event_type, payload, user_id, processed_at, error, waits_for,
      host_uris, invitee_uri, occurred_at, signature_verified)
    select x."eventId", x."eventType", case when not (unmatched and ${discardUnmatched}) then x.body end, host.user_id,
      case when not pending and (x.done or x.hosts <> '{}') then now() end, x.error, x."waitsFor",
      case when unmatched and not ${discardUnmatched} then x.hosts end, x."inviteeUri", x."occurredAt", true
    from ${rowsAsX(sql, ENTRY, entries)}
    left join lateral (
      select a.user_id from calendly_accounts a
      where a.calendly_uri = any(x.hosts)
      order by array_position(x.hosts, a.calendly_uri)
      limit 1
    ) host on true
    cross join lateral (select coalesce(x.error, x."waitsFor") is not null as pending) p
    cross join lateral (select not pending and x.hosts <> '{}' and host.user_id is null as unmatched) u
    where ${sql.unsafe(HAS_BEGUN)}
    order by x."eventId"
    -- The application's own row for the same event does not stand in the way of a delivery that was verified.
    on conflict (event_id) do update set (event_type, payload, user_id, processed_at, error, waits_for,
      host_uris, invitee_uri, occurred_at, signature_verified
    ) = (excluded.event_type, excluded.payload, excluded.user_id, excluded.processed_at, excluded.error,
      excluded.waits_for, excluded.host_uris, excluded.invitee_uri, excluded.occurred_at, true)
    where not e.signature_verified
    returning event_id`;
  return new Set(rows.map((row) => row.event_id));
}

const PAYLOAD = columns({ eventId: 'text not null', body: 'jsonb not null' });

/** Overwrites the stored bodies of deliveries; one that was stored without its body stays so. */
export async function replacePayloads(
  sql: Sql,
  payloads: Pick<LedgerEntry, 'eventId' | 'body'>[],
): Promise<void> {
  const rows = payloads.map(({ eventId, body }) => ({ eventId, body }));
  await sql`
    update calendly_webhook_events e set payload = x.body
    from ${rowsAsX(sql, PAYLOAD, rows)} where e.event_id = x."eventId" and e.payload <> x.body`;
}

/** The result of a stored delivery. */
export interface Settlement {
  eventId: string;
  userId: string | null;
  processed: boolean;
  error: string | null;
  waitsFor: string | null;
  /** Its hosts, if none of them is connected. */
  hosts: string[] | null;
}

/** Records the results of stored deliveries. */
export async function settleEvents(sql: Sql, settlements: Settlement[]): Promise<void> {
  const updates = settlements.map(
    ({ eventId, userId, processed, error, waitsFor, hosts }) => sql`
      update calendly_webhook_events
      set user_id = coalesce(${userId}, user_id), processed_at = case when ${processed} then now() end,
        error = ${error}, waits_for = ${waitsFor}, host_uris = ${hosts}::text[], attempts = attempts + 1
      where event_id = ${eventId} and signature_verified`,
  );
  await Promise.all(updates);
}

/** A stored delivery that is to be applied. */
export interface PendingEvent {
  event_id: string;
  /** As JSON text. */
  payload: string;
}

/** Which stored deliveries are to be applied: all, or only those that wait for a lock. */
export type Pending = 'all' | 'waiting';

/**
 * Locks deliveries that are to be applied, in the order of their ids, and skips those that another replay has locked.
 * @param after the last id of the previous batch
 */
export async function lockPendingEvents(
  sql: Sql,
  which: Pending,
  after: string,
  limit: number,
): Promise<PendingEvent[]> {
  return sql<PendingEvent[]>`
    select event_id, payload::text from calendly_webhook_events
    where event_id > ${after} and event_id in (${pendingIds(sql, which)})
    order by event_id
    limit ${limit}
    for update skip locked`;
}

/** Whether deliveries are to be applied. */
export async function hasPendingEvents(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ pending: boolean }[]>`select exists (${pendingIds(sql, 'all')}) as pending`;
  return row?.pending ?? false;
}

/** Two index scans, both empty as a rule: deliveries of hosts who are not connected are not read. */
export function pendingIds(sql: ISql, which: Pending) {
  const unprocessed = sql`
    select event_id from calendly_webhook_events where processed_at is null and signature_verified`;
  if (which === 'waiting') return sql`${unprocessed} and waits_for is not null`;
  return sql`${unprocessed} union all
    select event_id from calendly_webhook_events
    where host_uris && array(select calendly_uri from calendly_accounts) and host_uris is not null`;
}

/** How many deliveries are stored for hosts who are not connected. */
export async function countUnmatched(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::float8 as count from calendly_webhook_events where host_uris is not null`;
  return row?.count ?? 0;
}

/** Stored deliveries that wait for a lock: how many, for how long the oldest, and who holds it. */
export async function readWaiting(
  sql: Sql,
): Promise<{ count: number; ageMs: number; holder: string | null }> {
  const [row] = await sql<{ count: number; ageMs: number; holder: string | null }[]>`
    select count(*)::float8 as count, coalesce(extract(epoch from now() - min(created_at)) * 1000, 0)::float8 as "ageMs",
      (array_agg(waits_for order by attempts desc, created_at))[1] as holder
    from calendly_webhook_events where processed_at is null and signature_verified and waits_for is not null`;
  return row ?? { count: 0, ageMs: 0, holder: null };
}

/** Whether deliveries of a user are to be applied, those that failed included. */
export async function hasUnappliedEvents(sql: Sql, userId: string): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`
    select exists (
      select from calendly_webhook_events where processed_at is null and signature_verified and user_id = ${userId}
    ) as found`;
  return row?.found ?? false;
}

/** How many stored deliveries could not be applied, and the newest error. */
export async function countFailed(sql: Sql): Promise<{ count: number; error: string | null }> {
  const [row] = await sql<{ count: number; error: string | null }[]>`
    select count(*)::float8 as count, (array_agg(error order by created_at desc))[1] as error
    from calendly_webhook_events where processed_at is null and signature_verified and error is not null`;
  return row ?? { count: 0, error: null };
}

/** Selects old events. */
export interface OldEvents {
  /** Received before this instant, by the database's clock. */
  before: Date;
  /** Also those that were never processed: their content is stored nowhere else. */
  includeUnprocessed: boolean;
}

/** The instant `seconds` ago, by the database's clock. */
export async function instantAgo(sql: Sql, seconds: number): Promise<Date> {
  const [row] = await sql<{ instant: Date }[]>`select now() - make_interval(secs => ${seconds}) as instant`;
  if (!row) throw new Error('the database returned no time');
  return row.instant;
}

/** How many old events there are: those that were processed or never will be, and those that wait. */
export async function countOldEvents(
  sql: Sql,
  before: Date,
): Promise<{ processed: number; unprocessed: number }> {
  const [row] = await sql<{ processed: number; unprocessed: number }[]>`
    select count(*) filter (where processed_at is not null or not signature_verified)::float8 as processed,
      count(*) filter (where processed_at is null and signature_verified)::float8 as unprocessed
    from calendly_webhook_events where created_at < ${before}`;
  return row ?? { processed: 0, unprocessed: 0 };
}

/**
 * Deletes up to `limit` old events, oldest first. Skips what another transaction has locked, so that neither a
 * receiver nor a second cleanup waits.
 * @returns the number of deleted events
 */
export async function deleteOldEvents(
  sql: Sql,
  { before, includeUnprocessed }: OldEvents,
  limit: number,
): Promise<number> {
  const result = await sql`
    delete from calendly_webhook_events
    where id in (
      select id from calendly_webhook_events
      where created_at < ${before} and (${includeUnprocessed} or processed_at is not null or not signature_verified)
      order by created_at
      limit ${limit}
      for update skip locked
    )`;
  return result.count;
}

/**
 * The time of a user's last delivery, and the number of later bookings (without any delivery, of those after `since`)
 * that only a poll found. Bookings of the last 15 minutes do not count: their delivery may still arrive.
 */
export async function readWebhookTraffic(
  sql: Sql,
  userId: string,
  since: string | null,
): Promise<{ last: Date | null; missed: number }> {
  const [row] = await sql<{ last: Date | null; missed: number }[]>`
    with traffic as (
      select max(created_at) as last from calendly_webhook_events where user_id = ${userId}
    )
    select traffic.last, (
      select count(*)::float8 from calendly_events e join meetings m on m.id = e.meeting_id
      where e.user_id = ${userId} and m.synced_via_webhook is not true
        and m.calendly_created_at < now() - interval '15 minutes'
        and m.calendly_created_at
          > greatest(traffic.last, ${since}::text::timestamptz) + interval '15 minutes'
    ) as missed
    from traffic`;
  return row ?? { last: null, missed: 0 };
}
