/**
 * SQL of `calendly_sync_runs`: one row per run of an account that changed something, failed, or was the first of its
 * day. Rows are kept for 30 days.
 */
import type { Sql } from '../connection.js';

/** How a run ended. `crashed` is recorded by the next run, for one that never released its lease. */
export type RunStatus = 'complete' | 'failed' | 'stopped' | 'crashed';

/** A run of the account whose lease the caller holds. */
export interface RunRecord {
  accountId: string;
  userId: string;
  mode: string;
  window: { from: number; to: number } | null;
  status: Exclude<RunStatus, 'crashed'>;
  counts: object;
  requests: number;
  retries: number;
  rateLimitWaitMs: number;
  error: { code: string; message: string } | null;
  /** False: an unchanged run, recorded only as the first of its day, or after one that was not complete. */
  always: boolean;
}

/** Records a run at its end, and removes old rows. */
export async function recordRun(sql: Sql, run: RunRecord): Promise<void> {
  const { accountId, window, error } = run;
  const [from, to] = window ? [new Date(window.from), new Date(window.to)] : [null, null];
  await sql`
    with pruned as (
      delete from calendly_sync_runs where account_id = ${accountId} and started_at < now() - interval '30 days'
    )
    insert into calendly_sync_runs
      (account_id, user_id, mode, window_from, window_to, status, counts, requests, retries, rate_limit_wait_ms,
        started_at, finished_at, error_code, error)
    select ${accountId}, ${run.userId}, ${run.mode}, ${from}::timestamptz, ${to}::timestamptz, ${run.status},
      ${JSON.stringify(run.counts)}::text::jsonb, ${run.requests}, ${run.retries}, ${run.rateLimitWaitMs},
      l.started_at, now(), ${error?.code ?? null}, ${error?.message ?? null}
    from calendly_leases l
    where l.account_id = ${accountId} and (${run.always} or not exists (
      select from (
        select status, started_at from calendly_sync_runs where account_id = ${accountId}
        order by started_at desc, id desc limit 1
      ) as latest
      where status = 'complete' and started_at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc'
    ))`;
}

/** Records that the last run of an account ended without releasing its lease, when a new run takes it. */
export async function recordCrash(sql: Sql, accountId: string): Promise<void> {
  await sql`
    insert into calendly_sync_runs (account_id, user_id, mode, status, started_at, finished_at)
    select id, user_id, 'unknown', 'crashed', now(), now() from calendly_accounts where id = ${accountId}`;
}
