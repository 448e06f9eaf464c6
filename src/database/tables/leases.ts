/**
 * SQL of `calendly_leases`: which process works on an account. Each claim raises the lease number, so that a
 * process that lost its lease can be told from its successor.
 */
import type { Sql } from '../connection.js';

/** How long a lease lasts if nobody renews it, in seconds. */
export const LEASE_SECONDS = 120;
/** How long a write waits for a row that somebody else has locked, in ms. */
export const LOCK_TIMEOUT_MS = 4_000;
/** A process that is frozen inside a transaction keeps its locks no longer than this. */
const IDLE_TIMEOUT_MS = 60_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** From Postgres 17: the only limit for a process that was frozen after a statement's Parse, before its Bind. */
const TRANSACTION_TIMEOUT_MS = 120_000;

/** A lease as its holder knows it. */
export interface HeldLease {
  accountId: string;
  /** The lease number. */
  number: string;
}

/**
 * What `lease_owner` says of the holder of an account; null if nobody holds it. The transaction waits for no lock longer
 * than a write does.
 */
export async function leaseHolder(sql: Sql, accountId: string): Promise<string | null> {
  const [row] = await sql<{ owner: string | null }[]>`
    select set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true),
      (select lease_owner from calendly_leases where account_id = ${accountId}) as owner`;
  return row?.owner ?? null;
}

/**
 * Takes an account, with one statement: of any number of processes just one succeeds.
 * @param deadOwner a holder that is known to be dead; its lease counts as expired
 * @returns the lease number; null if another process holds the account
 */
export async function takeLease(
  sql: Sql,
  accountId: string,
  owner: string,
  deadOwner: string | null,
): Promise<string | null> {
  const [row] = await sql<{ number: string }[]>`
    insert into calendly_leases as l (account_id, lease_owner, lease_no, lease_until, started_at)
    values (${accountId}, ${owner}, 1, now() + make_interval(secs => ${LEASE_SECONDS}), now())
    on conflict (account_id) do update set
      lease_owner = excluded.lease_owner, lease_no = l.lease_no + 1, lease_until = excluded.lease_until,
      started_at = excluded.started_at
    where l.lease_owner is null or l.lease_until is null or l.lease_until < now() or l.lease_owner = ${deadOwner}
    returning lease_no::text as number`;
  return row?.number ?? null;
}

/**
 * The fence, the first statement of every transaction in which a run writes: nobody can take the lease before that
 * transaction ends. It also limits how long the transaction waits for locks, how long it may be idle, and how
 * long it may take.
 * @returns false if the lease is lost: nothing may be written
 */
export async function checkLease(
  sql: Sql,
  { accountId, number }: HeldLease,
  lockTimeoutMs: number,
): Promise<boolean> {
  const query = sql`
    select set_config('lock_timeout', ${String(lockTimeoutMs)}, true),
      set_config('idle_in_transaction_session_timeout', ${String(IDLE_TIMEOUT_MS)}, true),
      set_config('statement_timeout', ${String(STATEMENT_TIMEOUT_MS)}, true),
      case when current_setting('server_version_num')::integer >= 170000
        then set_config('transaction_timeout', ${String(TRANSACTION_TIMEOUT_MS)}, true) end
    from calendly_leases
    where account_id = ${accountId} and lease_no = ${number} and lease_owner is not null
    for share`;
  // Sent now, ahead of whatever the caller sends next.
  return (await query.execute()).length > 0;
}

/** Renews a lease. False: it was lost to another process, and nothing more may be recorded under it. */
export async function renewLease(sql: Sql, { accountId, number }: HeldLease): Promise<boolean> {
  const rows = await sql`
    update calendly_leases set lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
    where account_id = ${accountId} and lease_no = ${number} and lease_owner is not null
    returning 1`;
  return rows.length > 0;
}

/**
 * Releases an account, with the error that ended its run, if any. `unknown`: how its last run ended stays as it is.
 * @returns `before`: a first attempt did it, whose answer was lost. `lost`: another process has the account
 */
export async function releaseLease(
  sql: Sql,
  { accountId, number }: HeldLease,
  outcome: { code: string; message: string } | null | 'unknown',
): Promise<'released' | 'before' | 'lost'> {
  const isKnown = outcome !== 'unknown';
  const error = isKnown ? outcome : null;
  const [row] = await sql<{ released: boolean; mine: boolean }[]>`
    with released as (
      update calendly_leases
      set lease_owner = null, lease_until = null, finished_at = now(),
        failures = case when ${!isKnown} then failures when ${error !== null} then failures + 1 else 0 end,
        due_at = case when isfinite(due_at) then now() + make_interval(secs => every_s) else due_at end
      where account_id = ${accountId} and lease_no = ${number} and lease_owner is not null
      returning account_id
    ), noted as (
      update calendly_accounts
      set last_error_code = ${error?.code ?? null}, last_error = ${error?.message ?? null},
        last_error_at = ${error ? sql`now()` : null}, updated_at = now()
      where ${isKnown} and id in (select account_id from released)
        and (last_error_code, last_error) is distinct from (${error?.code ?? null}::text, ${error?.message ?? null}::text)
    )
    select set_config('lock_timeout', ${String(LOCK_TIMEOUT_MS)}, true), exists (select from released) as released,
      exists (select from calendly_leases where account_id = ${accountId} and lease_no = ${number}) as mine`;
  if (row?.released) return 'released';
  return row?.mine ? 'before' : 'lost';
}
