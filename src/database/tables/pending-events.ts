/**
 * SQL of `calendly_pending_events`: what a run has listed and not processed yet. It keeps memory flat, separates
 * listing from reading, and lets the next run continue after a crash.
 */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';

/**
 * `changed`: changed since its invitees were read · `edited`: changed, but its invitees are known · `no_show`: its
 * invitees are due to be read again · `unlisted`: stored, but missing in a complete listing of its range.
 */
export type PendingKind = 'changed' | 'edited' | 'no_show' | 'unlisted';

const PENDING = columns({
  uri: 'text not null',
  kind: 'text not null',
  /** The event's list row; null where only its URI is known. */
  event: 'jsonb object',
  /** Database time before the event was listed. */
  seenAt: 'timestamptz not null',
});

export interface Pending extends RowOf<typeof PENDING> {
  kind: PendingKind;
}

/** Adds the events of a page; a newer entry for the same event replaces the older one. */
export async function addPending(
  sql: Sql,
  accountId: string,
  runId: string,
  found: Pending[],
): Promise<void> {
  if (found.length === 0) return;
  await sql`
    insert into calendly_pending_events as p (account_id, calendly_uri, kind, event, run_id, listed_at)
    select ${accountId}, x.uri, x.kind, x.event, ${runId}, x."seenAt"
    from ${rowsAsX(sql, PENDING, found)}
    on conflict (account_id, calendly_uri) do update set
      kind = excluded.kind, event = excluded.event, run_id = excluded.run_id, listed_at = excluded.listed_at,
      error = null`;
}

/** Adds events known only by URI; an entry of this run is not replaced. */
export async function addPendingUris(
  sql: Sql,
  accountId: string,
  runId: string,
  kind: 'no_show' | 'unlisted',
  uris: string[],
): Promise<void> {
  if (uris.length === 0) return;
  await sql`
    insert into calendly_pending_events as p (account_id, calendly_uri, kind, event, run_id, listed_at)
    select distinct ${accountId}::bigint, x.uri, ${kind}, null::jsonb, ${runId}::bigint, clock_timestamp()
    from unnest(${uris}::text[]) as x(uri)
    on conflict (account_id, calendly_uri) do update set
      kind = excluded.kind, event = null, run_id = excluded.run_id, listed_at = excluded.listed_at, error = null
    where p.run_id <> excluded.run_id`;
}

/** Removes events that are processed or need nothing. */
export async function dropPending(sql: Sql, accountId: string, uris: string[]): Promise<void> {
  if (uris.length === 0) return;
  await sql`delete from calendly_pending_events where account_id = ${accountId} and calendly_uri = any(${uris})`;
}

/**
 * Takes over what an earlier run left and this run has not listed. Only the URI is kept, because the list row may be
 * hours old.
 * @returns the number of events
 */
export async function adoptPending(sql: Sql, accountId: string, runId: string): Promise<number> {
  const rows = await sql`
    update calendly_pending_events
    set run_id = ${runId}, kind = 'unlisted', event = null, error = null, listed_at = clock_timestamp()
    where account_id = ${accountId} and run_id <> ${runId}
    returning 1`;
  return rows.length;
}

/** The number of events that this run has still to process. */
export async function countPending(sql: Sql, accountId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from calendly_pending_events where account_id = ${accountId} and error is null`;
  return row?.count ?? 0;
}

/** The next pending events after a URI, in the order of URIs, without those that failed in this run. */
export async function nextPending(
  sql: Sql,
  accountId: string,
  after: string,
  limit: number,
): Promise<{ rows: Pending[]; now: string }> {
  const rows = await sql<(Pending & { now: string })[]>`
    select calendly_uri as uri, kind, event,
      ${sql.unsafe(utcText('listed_at'))} as "seenAt",
      ${sql.unsafe(utcText('clock_timestamp()'))} as now
    from calendly_pending_events
    where account_id = ${accountId} and calendly_uri > ${after} and error is null
    order by calendly_uri
    limit ${limit}`;
  return { rows, now: rows[0]?.now ?? '' };
}

/** Keeps an event pending with its error; the next run retries it. */
export async function failPending(sql: Sql, accountId: string, uri: string, error: string): Promise<void> {
  await sql`
    update calendly_pending_events set error = ${error}
    where account_id = ${accountId} and calendly_uri = ${uri}`;
}
