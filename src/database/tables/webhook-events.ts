/**
 * SQL of `calendly_webhook_events`: a ledger with each change once. `processed_at` is set in the transaction that
 * applies it; null means that it waits, with an `error` if applying it failed, and without one if its host is not
 * connected here. The application may insert rows of its own: only those whose signature we verified are ever applied.
 * Only where migration 022 is applied.
 */
import type { Sql } from '../connection.js';
import { columns, type Json, type RowOf, rowsAsX } from '../table.js';

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
});

export type LedgerEntry = RowOf<typeof ENTRY>;

/**
 * Inserts deliveries that are not stored yet. Those of a known host count as processed, because the caller applies
 * them in the same transaction. Waits for a transaction that is inserting the same one; in the order of ids, so that
 * writers never deadlock.
 * @returns the event ids that are new
 */
export async function insertEvents(sql: Sql, entries: LedgerEntry[]): Promise<Set<string>> {
  const rows = await sql<{ event_id: string }[]>`
    insert into calendly_webhook_events as e
      (event_id, event_type, payload, user_id, processed_at, error, invitee_uri, occurred_at, signature_verified)
    select x."eventId", x."eventType", x.body, host.user_id,
      case when x.done or (host.user_id is not null and x.error is null) then now() end,
      x.error, x."inviteeUri", x."occurredAt", true
    from ${rowsAsX(sql, ENTRY, entries)}
    left join lateral (
      select a.user_id from calendly_accounts a
      where a.calendly_uri = any(x.hosts)
      order by array_position(x.hosts, a.calendly_uri)
      limit 1
    ) host on true
    order by x."eventId"
    -- The application's own row for the same event does not stand in the way of a delivery that was verified.
    on conflict (event_id) do update set (
      event_type, payload, user_id, processed_at, error, invitee_uri, occurred_at, signature_verified
    ) = (
      excluded.event_type, excluded.payload, excluded.user_id, excluded.processed_at, excluded.error,
      excluded.invitee_uri, excluded.occurred_at, true
    )
    where not e.signature_verified
    returning event_id`;
  return new Set(rows.map((row) => row.event_id));
}

/** The result of a stored delivery. */
export interface Settlement {
  eventId: string;
  userId: string | null;
  processed: boolean;
  error: string | null;
}

/** Records the results of stored deliveries. */
export async function settleEvents(sql: Sql, settlements: Settlement[]): Promise<void> {
  for (const { eventId, userId, processed, error } of settlements) {
    await sql`
      update calendly_webhook_events
      set user_id = coalesce(${userId}, user_id), processed_at = case when ${processed} then now() end,
        error = ${error}, attempts = attempts + 1
      where event_id = ${eventId} and signature_verified`;
  }
}

/** A stored delivery that was not applied. */
export interface WaitingEvent {
  event_id: string;
  payload: Json | string;
}

/**
 * Locks waiting deliveries, in the order of their ids, and skips those that another replay has locked.
 * @param after the last id of the previous batch
 */
export async function lockWaitingEvents(sql: Sql, after: string, limit: number): Promise<WaitingEvent[]> {
  return sql<WaitingEvent[]>`
    select event_id, payload from calendly_webhook_events
    where processed_at is null and signature_verified and event_id > ${after}
    order by event_id
    limit ${limit}
    for update skip locked`;
}

/** Whether deliveries wait to be applied. */
export async function hasWaitingEvents(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ waiting: boolean }[]>`
    select exists (
      select from calendly_webhook_events where processed_at is null and signature_verified
    ) as waiting`;
  return row?.waiting ?? false;
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
