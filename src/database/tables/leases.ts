/**
 * SQL of `calendly_leases`: which process works on an account. Each claim raises the lease number, so that a
 * process that lost its lease can be told from its successor.
 */
import type { ISql, PendingQuery, Row } from 'postgres';
import type { Sql } from '../connection.js';
import { utcText } from '../table.js';
import { ACCOUNT, type Account } from './accounts.js';
import { type StoredTokens, TOKENS } from './tokens.js';

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

/** What a run needs to know of the account that it has taken. */
export interface ClaimedAccount {
  account: Account;
  /** `calendly_initial_sync_complete`; null without migration 022. */
  initialComplete: boolean | null;
  /** Events that earlier runs left pending. */
  pending: number;
  /** Ended meetings are due for a look at their no-shows. */
  hasDue: boolean;
  /** The database's time, as canonical text. */
  now: string;
}

/** An account that a statement has just taken. */
export interface Claim extends ClaimedAccount {
  /** The lease number. */
  number: string;
  /** How often the account is synced at present, in seconds. */
  everyS: number;
  /** When it was due, in ms since 1970; -Infinity: at once, whatever else is due. */
  dueAt: number;
  /** No sync of it has ever been complete. */
  isFirst: boolean;
  /** When its last run began. */
  previousRunAt: Date | null;
  /** Null: none are stored. */
  tokens: StoredTokens | null;
}

/** A row of `claimLeases`; `accountId` is null if there are no tokens. */
export type ClaimRow = Omit<Claim, 'account' | 'tokens'> &
  Account &
  Omit<StoredTokens, 'accountId'> & { accountId: string | null };

/** Which accounts to take: these, or those that wait longest. */
export type Choice =
  | {
      accountIds: string[];
      /** A holder that is known to be dead: its lease counts as expired. */
      deadOwner?: string | null;
    }
  | {
      limit: number;
      /** Those that have never been synced completely, or only all others. */
      first: boolean;
      /** A lower bound of `due_at`, in ms since 1970: dead index entries below it are not walked again. */
      low: number;
      /** Also those that are due later. */
      early: boolean;
      /** Only those whose last run began before this time of the database; null: all. */
      before: string | null;
      /** Also those whose last run failed and that are due later. */
      ignoreBackOff: boolean;
      tokens: TokenOwners;
    };

/** Whose tokens there are: everybody's, or the stored ones and that of CALENDLY_TOKEN. */
export interface TokenOwners {
  provided: boolean;
  ownAccountId: string | null;
}

/** The condition that there is a token for the account of a lease `l`. */
export function hasToken(sql: ISql, { provided, ownAccountId }: TokenOwners): PendingQuery<Row[]> {
  return provided
    ? sql`true`
    : sql`(l.account_id = ${ownAccountId}::bigint
        or exists (select from calendly_tokens where account_id = l.account_id))`;
}

/**
 * Takes accounts, with one statement: of any number of processes just one gets each. One that a transaction of its
 * holder has locked at this moment is not taken.
 */
export function claimLeases(
  sql: ISql,
  owner: string,
  choice: Choice,
  hasSyncState: boolean,
): PendingQuery<ClaimRow[]> {
  const flag = hasSyncState
    ? sql`(select coalesce(calendly_initial_sync_complete, false) from users u where u.id = a.user_id)`
    : sql`null::boolean`;
  const isFree = sql`(lease_until is null or lease_until <= now()`;
  const chosen =
    'accountIds' in choice
      ? sql`account_id = any(${choice.accountIds}::bigint[])
          and ${isFree} or lease_owner = ${choice.deadOwner ?? null}::text)`
      : sql`due_at >= to_timestamp(${choice.low}::float8 / 1000) and due_at < 'infinity'
          and (due_at <= now() or ${choice.early}) and ${isFree})
          and (failures = 0 or due_at <= now() or ${choice.ignoreBackOff})
          and (started_at is null or started_at < coalesce(${choice.before}::text::timestamptz, 'infinity')
            or due_at = '-infinity')
          and (finished_at is null) = ${choice.first}
          and ${hasToken(sql, choice.tokens)}
        order by due_at limit ${choice.limit}`;
  return sql<ClaimRow[]>`
    with next as (
      select account_id, due_at, started_at, lease_owner from calendly_leases l
      where ${chosen}
      for no key update skip locked
    ), taken as (
      update calendly_leases l
      set lease_no = lease_no + 1, lease_until = now() + make_interval(secs => ${LEASE_SECONDS}),
        lease_owner = ${owner}, started_at = now(), wake_at = null
      from next where l.account_id = next.account_id
      returning l.account_id, l.lease_no, l.every_s, l.finished_at, next.due_at, next.started_at
    ), crashed as (
      -- Whoever held it never released it.
      insert into calendly_sync_runs (account_id, user_id, mode, status, started_at, finished_at)
      select a.id, a.user_id, 'unknown', 'crashed', now(), now()
      from next join calendly_accounts a on a.id = next.account_id where next.lease_owner is not null
    )
    select ${sql.unsafe(ACCOUNT)}, ${sql.unsafe(TOKENS)}, ${flag} as "initialComplete",
      (select count(*)::integer from calendly_pending_events where account_id = a.id) as pending,
      exists (
        select from calendly_events e where e.user_id = a.user_id and e.recheck_at < now()
      ) as "hasDue",
      ${sql.unsafe(utcText('clock_timestamp()'))} as now,
      taken.lease_no::text as number, taken.every_s as "everyS", (extract(epoch from taken.due_at) * 1000)::float8 as "dueAt",
      taken.finished_at is null as "isFirst", taken.started_at as "previousRunAt"
    from taken join calendly_accounts a on a.id = taken.account_id
    left join calendly_tokens t on t.account_id = a.id`;
}

/** Makes sure that an account has its row here. */
export async function createLease(sql: Sql, accountId: string): Promise<void> {
  await sql`insert into calendly_leases (account_id) values (${accountId}) on conflict do nothing`;
}

/** How soon after a delivery its account is synced, in seconds. */
export const WAKE_S = 120;

/**
 * Makes the accounts of these Calendly users due soon, or those that list for them; also one that is being synced. At
 * most one write per account until it is synced.
 */
export function wakeAccounts(sql: ISql, calendlyUris: string[]): PendingQuery<Row[]> {
  return sql`
    update calendly_leases
    set wake_at = now() + make_interval(secs => ${WAKE_S}),
      due_at = least(due_at, now() + make_interval(secs => ${WAKE_S}))
    where account_id in (
      select coalesce(organization_account_id, id) from calendly_accounts where calendly_uri = any(${calendlyUris})
    ) and due_at < 'infinity' and wake_at is null`;
}

/** The number of accounts that are synced on their own. */
export async function countLeases(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from calendly_leases`;
  return row?.count ?? 0;
}

/** The holders of accounts whose leases have not expired, of one account or of all. */
export async function leaseHolders(sql: Sql, accountId: string | null): Promise<string[]> {
  const rows = await sql<{ owner: string }[]>`
    select distinct lease_owner as owner from calendly_leases
    where lease_owner is not null and (account_id = ${accountId}::bigint or ${accountId}::bigint is null)`;
  return rows.map(({ owner }) => owner);
}

/** Ends the leases of holders that are known to be dead. */
export async function expireLeases(sql: Sql, owners: string[]): Promise<void> {
  if (owners.length === 0) return;
  await sql`
    update calendly_leases set lease_until = now()
    where account_id in (
      select account_id from calendly_leases where lease_owner = any(${owners}) and lease_until > now()
      for no key update skip locked
    )`;
}

/**
 * Ends sessions of this role that hold a lease's row and have sent nothing for a minute: their process was frozen, or its
 * machine lost. Before Postgres 17 no setting does that for a process frozen between a statement's Parse and its Bind.
 * @returns how many
 */
export async function endFrozenSessions(sql: Sql, idleMs = IDLE_TIMEOUT_MS): Promise<number> {
  const rows = await sql`
    select pg_terminate_backend(a.pid) from pg_stat_activity a
    where a.datname = current_database() and a.usename = current_user and a.wait_event = 'ClientRead'
      and a.state_change < now() - make_interval(secs => ${idleMs / 1_000})
      and exists (
        select from pg_locks l
        where l.pid = a.pid and l.database = (select oid from pg_database where datname = current_database())
          and l.relation = 'calendly_leases'::regclass and l.mode = 'RowShareLock'
      )`;
  return rows.length;
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
