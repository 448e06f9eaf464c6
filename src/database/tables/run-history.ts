/** Reads `calendly_sync_runs` and the newest deliveries, for people. An unchanged check leaves no row. Does not judge. */
import type { Sql } from '../connection.js';

/** One recorded run. Times are in UTC. */
export interface RecordedRun {
  user_id: string;
  email: string | null;
  mode: string;
  /** `complete`, `failed`, `stopped` or `crashed`. */
  status: string;
  started_at: Date;
  finished_at: Date | null;
  new: number;
  updated: number;
  deleted: number;
  requests: number;
  error_code: string | null;
  error: string | null;
}

export interface RunsOptions {
  /** `users.id` or e-mail; empty: everybody. */
  users: readonly string[];
  failed: boolean;
  limit: number;
}

/** The latest recorded runs, the newest first. */
export async function readRuns(sql: Sql, { users, failed, limit }: RunsOptions): Promise<RecordedRun[]> {
  const names = users.map((name) => name.toLowerCase());
  const chosen = names.length > 0;
  return sql<RecordedRun[]>`
    select r.user_id::text as user_id, a.email, r.mode, r.status, r.started_at, r.finished_at,
      coalesce((r.counts ->> 'new')::integer, 0) as new, coalesce((r.counts ->> 'updated')::integer, 0) as updated,
      coalesce((r.counts ->> 'deleted')::integer, 0) as deleted, r.requests, r.error_code, r.error
    from calendly_sync_runs r join calendly_accounts a on a.id = r.account_id
    where (not ${failed} or r.status in ('failed', 'crashed'))
      and (not ${chosen} or r.user_id::text = any(${names}) or lower(a.email) = any(${names}))
    -- A run gets its id at its end.
    order by r.id desc limit ${limit}`;
}

/** One stored delivery, without anything of its content. */
export interface RecordedDelivery {
  received_at: Date;
  event_type: string | null;
  state: 'applied' | 'waiting' | 'failed' | 'unmatched';
  delay_ms: number | null;
}

/** The latest deliveries whose signature was verified, the newest first. Needs migration 022. */
export async function readDeliveries(sql: Sql, limit: number): Promise<RecordedDelivery[]> {
  return sql<RecordedDelivery[]>`
    select created_at as received_at, event_type,
      case when host_uris is not null then 'unmatched' when processed_at is not null then 'applied'
        when error is not null then 'failed' else 'waiting' end as state,
      round(extract(epoch from created_at - occurred_at) * 1000)::float8 as delay_ms
    from calendly_webhook_events where signature_verified order by created_at desc limit ${limit}`;
}

/** The next meetings of everybody, without the names of their guests. */
export async function readNextMeetings(
  sql: Sql,
  limit: number,
): Promise<{ start_time: Date; title: string | null; email: string | null }[]> {
  return sql`
    select e.start_time, m.title::text as title, a.email
    from calendly_accounts a
    cross join lateral (
      select e.start_time, e.meeting_id from calendly_events e join meetings m on m.id = e.meeting_id
      where e.user_id = a.user_id and e.start_time > now() and m.is_deleted is not true
      order by e.start_time limit ${limit}
    ) e
    join meetings m on m.id = e.meeting_id
    order by e.start_time limit ${limit}`;
}
