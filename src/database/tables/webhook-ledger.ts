/**
 * SQL of `calendly_webhook_events` as a ledger: each change once, with what became of it. `processed_at` is set in the transaction
 * that applied it; null: it waits, with `error` when it could not be applied, without when nobody here knows its host.
 */
import type { Json } from '../../resources/meetings/rows.js';
import type { Sql } from '../connection.js';

/** One delivery as it is kept. */
export interface LedgerEntry {
  eventId: string;
  eventType: string;
  body: Json | string;
  inviteeUri: string | null;
  occurredAt: string | null;
  /** URIs of the Calendly users whose meeting it is; the first that is known here becomes `user_id`. */
  hosts: string[];
  /** It changes no meeting: done as soon as it is kept. */
  done: boolean;
  error: string | null;
}

/**
 * Keeps deliveries that are not kept yet; those of a known host count as processed, because the caller applies them in the same
 * transaction. Waits for another transaction that keeps the same one just now. In the order of ids: two writers never deadlock.
 * @returns the event ids that are new
 */
export async function insertEvents(sql: Sql, entries: LedgerEntry[]): Promise<Set<string>> {
  const rows = await sql<{ event_id: string }[]>`
    insert into calendly_webhook_events
      (event_id, event_type, payload, user_id, processed_at, error, invitee_uri, occurred_at)
    select x."eventId", x."eventType", x.body, host.user_id,
      case when x.done or (host.user_id is not null and x.error is null) then now() end,
      x.error, x."inviteeUri", x."occurredAt"
    from jsonb_to_recordset(${JSON.stringify(entries)}::text::jsonb)
      as x("eventId" text, "eventType" text, body jsonb, "inviteeUri" text, "occurredAt" timestamptz, hosts text[],
        done boolean, error text)
    left join lateral (
      select a.user_id from calendly_accounts a
      where a.calendly_uri = any(x.hosts)
      order by array_position(x.hosts, a.calendly_uri)
      limit 1
    ) host on true
    order by x."eventId"
    on conflict (event_id) do nothing
    returning event_id`;
  return new Set(rows.map((row) => row.event_id));
}

/** What became of a kept delivery. */
export interface Settlement {
  eventId: string;
  userId: string | null;
  processed: boolean;
  error: string | null;
}

/** Notes what became of deliveries that are kept already. */
export async function settleEvents(sql: Sql, settlements: Settlement[]): Promise<void> {
  for (const { eventId, userId, processed, error } of settlements) {
    await sql`
      update calendly_webhook_events
      set user_id = coalesce(${userId}, user_id), processed_at = case when ${processed} then now() end,
        error = ${error}, attempts = attempts + 1
      where event_id = ${eventId}`;
  }
}

/** A kept delivery that was not applied. */
export interface WaitingEvent {
  event_id: string;
  payload: Json | string;
}

/**
 * Deliveries that wait, in the order of their ids, locked until the transaction ends; what another replay holds is left to it.
 * @param after the last id of the batch before
 */
export async function lockWaitingEvents(sql: Sql, after: string, limit: number): Promise<WaitingEvent[]> {
  return sql<WaitingEvent[]>`
    select event_id, payload from calendly_webhook_events
    where processed_at is null and event_id > ${after}
    order by event_id
    limit ${limit}
    for update skip locked`;
}

/** How many deliveries wait: `failed` could not be applied, `unclaimed` are for hosts whom nobody here knows. */
export async function countWaiting(
  sql: Sql,
): Promise<{ failed: number; unclaimed: number; error: string | null }> {
  const [row] = await sql<{ failed: number; unclaimed: number; error: string | null }[]>`
    select count(*) filter (where error is not null)::float8 as failed,
      count(*) filter (where error is null)::float8 as unclaimed,
      (array_agg(error order by created_at desc) filter (where error is not null))[1] as error
    from calendly_webhook_events where processed_at is null`;
  return row ?? { failed: 0, unclaimed: 0, error: null };
}
