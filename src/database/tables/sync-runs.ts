/** SQL of `calendly_sync_runs`: one row per run of an account, inserted when it starts. */
import type { Sql } from '../connection.js';

/** How a run ended. `crashed` is set by the next run, on one whose end was never recorded. */
export type RunStatus = 'running' | 'complete' | 'failed' | 'stopped' | 'crashed';

export interface RunStart {
  accountId: string;
  userId: string;
  mode: string;
  window: { from: number; to: number };
}

export interface RunEnd {
  status: Exclude<RunStatus, 'running' | 'crashed'>;
  counts: object;
  requests: number;
  retries: number;
  rateLimitWaitMs: number;
  error: { code: string; message: string } | null;
}

/**
 * Starts a run, and marks unfinished runs of the account as crashed: the caller holds the lease, so none is in
 * progress.
 */
export async function startRun(sql: Sql, { accountId, userId, mode, window }: RunStart): Promise<string> {
  await sql`
    update calendly_sync_runs set status = 'crashed', finished_at = now()
    where account_id = ${accountId} and status = 'running'`;
  const [row] = await sql<{ id: string }[]>`
    insert into calendly_sync_runs (account_id, user_id, mode, window_from, window_to)
    values (${accountId}, ${userId}, ${mode}, ${new Date(window.from)}, ${new Date(window.to)})
    returning id::text as id`;
  if (!row) throw new Error('calendly_sync_runs returned no row');
  return row.id;
}

/** Ends a run. */
export async function endRun(sql: Sql, runId: string, end: RunEnd): Promise<void> {
  await sql`
    update calendly_sync_runs
    set status = ${end.status}, counts = ${JSON.stringify(end.counts)}::text::jsonb, requests = ${end.requests},
      retries = ${end.retries}, rate_limit_wait_ms = ${end.rateLimitWaitMs}, finished_at = now(),
      error_code = ${end.error?.code ?? null}, error = ${end.error?.message ?? null}
    where id = ${runId}`;
}
