/**
 * SQL of `calendly_pending_events`: what a run has found and not worked off yet. It keeps memory flat, lets pages be listed back
 * to back, and is what a crash leaves to the next run.
 */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX, utcText } from '../table.js';

/**
 * `changed`: listed with news, invitees wanted · `edited`: listed with other content, invitees known · `no_show`: due for a second
 * look at its invitees · `unlisted`: stored, but a complete listing of its stretch did not show it.
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

/** Adds what a page brought; a newer finding about the same event replaces the older one. */
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
      kind = excluded.kind, event = excluded.event, run_id = excluded.run_id, listed_at = excluded.listed_at, error = null`;
}

/** Adds URIs that nothing is known of yet; what is pending for a better reason stays as it is. */
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

/** Forgets events of the list that need nothing. */
export async function dropPending(sql: Sql, accountId: string, uris: string[]): Promise<void> {
  if (uris.length === 0) return;
  await sql`delete from calendly_pending_events where account_id = ${accountId} and calendly_uri = any(${uris})`;
}

/**
 * Takes over what an earlier run left and this run's listing did not touch: known by URI only from now on, because its list row
 * may be old by hours.
 * @returns how many
 */
export async function adoptPending(sql: Sql, accountId: string, runId: string): Promise<number> {
  const rows = await sql`
    update calendly_pending_events
    set run_id = ${runId}, kind = 'unlisted', event = null, error = null, listed_at = clock_timestamp()
    where account_id = ${accountId} and run_id <> ${runId}
    returning 1`;
  return rows.length;
}

/** How many events wait in this run. */
export async function countPending(sql: Sql, accountId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from calendly_pending_events where account_id = ${accountId} and error is null`;
  return row?.count ?? 0;
}

/** The next pending events after a URI, in the order of URIs, those that failed in this run left out. */
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

/** Keeps an event pending, with what went wrong; the next run tries again. */
export async function failPending(sql: Sql, accountId: string, uri: string, error: string): Promise<void> {
  await sql`
    update calendly_pending_events set error = ${error}
    where account_id = ${accountId} and calendly_uri = ${uri}`;
}
