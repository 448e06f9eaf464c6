/**
 * SQL of `calendly_sync_runs`, and of the end of a run: one statement records it, releases the lease and updates the
 * sync state. A run has a row if it changed something, failed, or was the first of its day; rows are kept for 30 days.
 */
import type { ISql, PendingQuery } from 'postgres';
import type { HeldLease } from './leases.js';

/**
 * How a run ended. `unreachable`: Calendly or the network failed, which says nothing about the account · `parked`: its
 * token does not work, and whoever found that out has parked it · `released`: it never began.
 */
export type Outcome = 'complete' | 'failed' | 'stopped' | 'unreachable' | 'parked' | 'released';

/** A run of the account whose lease the caller holds. */
export interface RunEnd {
  outcome: Outcome;
  userId: string;
  mode: string;
  window: { from: number; to: number } | null;
  counts: object;
  requests: number;
  retries: number;
  rateLimitWaitMs: number;
  error: { code: string; message: string } | null;
  /** False: an unchanged run, recorded only as the first of its day, or after one that was not complete. */
  always: boolean;
  /** How often the account is synced from now on, in seconds; null: as before. */
  everyS: number | null;
  /** It has listed the full window completely. */
  listedAll: boolean;
  /**
   * Updates `users`; null: it has no sync state, or the run does not count. `full: false` keeps a full sync requested
   * that was requested during the run.
   */
  syncState: { full: boolean } | null;
}

/** When an account is due again that was not synced for a reason of its own, in seconds. */
const RETRY_S = 60;

/**
 * Ends a run. `released`: what was to be recorded is recorded; `mine`: the lease was this holder's. Neither: another
 * process has the account, and nothing is recorded.
 */
export function endRun(
  sql: ISql,
  { accountId, number }: HeldLease,
  run: RunEnd | null,
): PendingQuery<{ released: boolean; mine: boolean }[]> {
  const outcome = run?.outcome ?? 'released';
  const isComplete = outcome === 'complete';
  const isSynced = run !== null && (run.syncState !== null || run.listedAll);
  const code = run?.error?.code ?? null;
  const message = run?.error?.message ?? null;
  const [from, to] = run?.window ? [new Date(run.window.from), new Date(run.window.to)] : [null, null];
  const synced = run?.syncState
    ? sql`, synced as (
        update users
        set last_calendly_sync = now(),
          calendly_initial_sync_complete = (${run.syncState.full} or calendly_initial_sync_complete)
        from held where users.id = ${run.userId}
      )`
    : sql``;
  const recorded = run
    ? sql`, noted as (
        update calendly_accounts a
        set last_error_code = ${code}, last_error = ${message}, last_error_at = ${code ? sql`now()` : null},
          last_full_listing_at = case when ${run.listedAll} then held.started_at else last_full_listing_at end,
          state = case when ${isComplete} then 'active' else state end,
          state_reason = case when not ${isComplete} then state_reason end,
          updated_at = now()
        from held
        where a.id = held.account_id and (
          ${run.listedAll} or (${isComplete} and state <> 'active')
          or ${outcome !== 'stopped'} and (last_error_code, last_error) is distinct from (${code}::text, ${message}::text)
        )
      ), pruned as (
        delete from calendly_sync_runs where account_id = ${accountId} and started_at < now() - interval '30 days'
      ), recorded as (
        insert into calendly_sync_runs
          (account_id, user_id, mode, window_from, window_to, status, counts, requests, retries, rate_limit_wait_ms,
            started_at, finished_at, error_code, error)
        select account_id, ${run.userId}, ${run.mode}, ${from}::timestamptz, ${to}::timestamptz,
          ${isComplete || outcome === 'stopped' ? outcome : 'failed'}, ${JSON.stringify(run.counts)}::text::jsonb,
          ${run.requests}, ${run.retries}, ${run.rateLimitWaitMs}, started_at, now(), ${code}, ${message}
        from held
        where ${run.always} or not exists (
          select from (
            select status, started_at from calendly_sync_runs where account_id = ${accountId}
            order by started_at desc, id desc limit 1
          ) as latest
          where status = 'complete' and started_at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc'
        )
      )`
    : sql``;
  return sql<{ released: boolean; mine: boolean }[]>`
    with held as (
      update calendly_leases
      set lease_owner = null, lease_until = null,
        finished_at = case when ${isSynced} then now() else finished_at end,
        failures = case when ${isComplete} then 0 when ${outcome === 'failed'} then failures + 1 else failures end,
        every_s = coalesce(${run?.everyS ?? null}, every_s), requests = requests + ${run?.requests ?? 0},
        due_at = case ${outcome}::text
          when 'parked' then due_at
          -- From the start of the run: no drift. A delivery that came since then may ask for it earlier.
          when 'complete' then least(wake_at, started_at + make_interval(secs => coalesce(${run?.everyS ?? null}, every_s)))
          when 'failed' then now() + least(interval '6 hours', interval '1 minute' * 2 ^ least(failures, 9))
            * (0.8 + 0.4 * random())
          when 'stopped' then now()
          else now() + make_interval(secs => ${RETRY_S}) end
      where account_id = ${accountId} and lease_no = ${number} and lease_owner is not null
      returning account_id, started_at
    )${synced}${recorded}
    select exists (select from held) as released,
      exists (select from calendly_leases where account_id = ${accountId} and lease_no = ${number}) as mine`;
}
