/** SQL of `calendly_webhook_events`, as far as old ones are concerned. Only where 022 is applied. */
import type { Sql } from '../connection.js';

/** Which events are old, and which of them are meant. */
export interface OldEvents {
  /** Received before this instant, by the database's clock. */
  before: Date;
  /** Also those that were never processed: nothing else keeps what they say. */
  includeUnprocessed: boolean;
}

/** The instant that lies so many seconds back, by the database's clock. */
export async function instantAgo(sql: Sql, seconds: number): Promise<Date> {
  const [row] = await sql<{ instant: Date }[]>`select now() - make_interval(secs => ${seconds}) as instant`;
  if (!row) throw new Error('the database returned no time');
  return row.instant;
}

/** How many old events there are, processed and not. */
export async function countOldEvents(
  sql: Sql,
  before: Date,
): Promise<{ processed: number; unprocessed: number }> {
  const [row] = await sql<{ processed: number; unprocessed: number }[]>`
    select count(*) filter (where processed_at is not null)::float8 as processed,
      count(*) filter (where processed_at is null)::float8 as unprocessed
    from calendly_webhook_events where created_at < ${before}`;
  return row ?? { processed: 0, unprocessed: 0 };
}

/**
 * Deletes up to `limit` old events, oldest first. What another transaction holds is left out, so that neither a receiver nor a
 * second cleaning waits.
 * @returns how many
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
      where created_at < ${before} and (${includeUnprocessed} or processed_at is not null)
      order by created_at
      limit ${limit}
      for update skip locked
    )`;
  return result.count;
}
