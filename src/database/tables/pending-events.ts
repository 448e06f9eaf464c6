/**
 * SQL of `calendly_pending_events`: what a run has found and still has to ask Calendly for. It keeps memory flat,
 * orders the requests by urgency, and lets the next run continue after a crash.
 */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';

/**
 * `invitees`: changed since its invitees were read · `unlisted`: stored, but missing in a complete listing of its
 * range · `no_show`, `audit`: its invitees are due to be read again.
 */
export type PendingKind = 'invitees' | 'unlisted' | 'no_show' | 'audit';

const PENDING = columns({
  uri: 'text not null',
  kind: 'text not null',
  /** The lower, the sooner. */
  urgency: 'integer not null',
});

export interface Pending extends RowOf<typeof PENDING> {
  kind: PendingKind;
}

/** An event that fails in so many runs in a row is set aside: runs are complete without it, and it is tried daily. */
export const MAX_FAILURES = 3;

const IS_SET_ASIDE = `(p.failures >= ${MAX_FAILURES} and p.listed_at > now() - interval '23 hours')`;

/** Adds events to ask for. A later finding of one run replaces an earlier one only if it wants the invitees. */
export async function addPending(
  sql: Sql,
  accountId: string,
  runId: string,
  found: Pending[],
): Promise<void> {
  if (found.length === 0) return;
  await sql`
    insert into calendly_pending_events as p (account_id, calendly_uri, kind, urgency, run_id)
    select distinct on (x.uri) ${accountId}::bigint, x.uri, x.kind, x.urgency, ${runId}::bigint
    from ${rowsAsX(sql, PENDING, found)}
    order by x.uri, x.urgency
    on conflict (account_id, calendly_uri) do update set
      kind = excluded.kind, urgency = excluded.urgency, run_id = excluded.run_id, listed_at = excluded.listed_at,
      error = null
    where not ${sql.unsafe(IS_SET_ASIDE)} and (p.run_id <> excluded.run_id or excluded.kind = 'invitees')`;
}

/** Takes over what an earlier run left, but for what is set aside. */
export async function resumePending(sql: Sql, accountId: string, runId: string): Promise<void> {
  await sql`
    update calendly_pending_events p set run_id = ${runId}, error = null, listed_at = clock_timestamp()
    where account_id = ${accountId} and run_id <> ${runId} and not ${sql.unsafe(IS_SET_ASIDE)}`;
}

/** Removes events that need nothing more. */
export async function dropPending(sql: Sql, accountId: string, uris: string[]): Promise<void> {
  if (uris.length === 0) return;
  await sql`delete from calendly_pending_events where account_id = ${accountId} and calendly_uri = any(${uris})`;
}

/** The number of events that this run has still to ask for. */
export async function countPending(sql: Sql, accountId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from calendly_pending_events where account_id = ${accountId} and error is null`;
  return row?.count ?? 0;
}

/** The next pending events after one of them, the most urgent first, without those that failed in this run. */
export async function nextPending(
  sql: Sql,
  accountId: string,
  after: Pick<Pending, 'urgency' | 'uri'>,
  limit: number,
): Promise<{ rows: (Pending & { failures: number })[]; now: string }> {
  const rows = await sql<(Pending & { failures: number; now: string })[]>`
    select calendly_uri as uri, kind, urgency, failures, ${sql.unsafe(utcText('clock_timestamp()'))} as now
    from calendly_pending_events
    where account_id = ${accountId} and (urgency, calendly_uri) > (${after.urgency}, ${after.uri}) and error is null
    order by urgency, calendly_uri
    limit ${limit}`;
  return { rows, now: rows[0]?.now ?? '' };
}

const FAILED = columns({ uri: 'text not null', message: 'text not null' });

/** Keeps events pending with their errors; the next run retries them. @returns the failures in a row of each */
export async function failPending(
  sql: Sql,
  accountId: string,
  runId: string,
  failed: RowOf<typeof FAILED>[],
): Promise<Map<string, number>> {
  if (failed.length === 0) return new Map();
  const rows = await sql<{ uri: string; failures: number }[]>`
    insert into calendly_pending_events as p
      (account_id, calendly_uri, kind, urgency, run_id, error, failures, failed_at)
    select ${accountId}::bigint, x.uri, 'invitees', 0, ${runId}::bigint, x.message, 1, now()
    from ${rowsAsX(sql, FAILED, failed)}
    on conflict (account_id, calendly_uri) do update set
      run_id = excluded.run_id, error = excluded.error, listed_at = clock_timestamp(), failures = p.failures + 1,
      failed_at = coalesce(p.failed_at, now())
    returning calendly_uri as uri, failures`;
  return new Map(rows.map(({ uri, failures }) => [uri, failures]));
}

/** Those of these events that failed in an earlier run. */
export async function findFailing(sql: Sql, accountId: string, uris: string[]): Promise<Set<string>> {
  if (uris.length === 0) return new Set();
  const rows = await sql<{ uri: string }[]>`
    select calendly_uri as uri from calendly_pending_events
    where account_id = ${accountId} and calendly_uri = any(${uris}) and failures > 0`;
  return new Set(rows.map(({ uri }) => uri));
}

/** An event that runs are complete without. */
export interface SyncException {
  uri: string;
  message: string;
  /** When it failed for the first time, ISO-8601. */
  since: string;
}

/** The events of an account that are set aside, the first 100. */
export async function findExceptions(sql: Sql, accountId: string): Promise<SyncException[]> {
  const rows = await sql<SyncException[]>`
    select calendly_uri as uri, error as message, ${sql.unsafe(utcText('failed_at'))} as since
    from calendly_pending_events p
    where account_id = ${accountId} and error is not null and failures >= ${MAX_FAILURES}
    order by failed_at, calendly_uri limit 100`;
  return [...rows];
}
