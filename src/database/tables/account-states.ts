/**
 * SQL over accounts and their leases: which ones a pass did not reach and why, which are parked, and for which a full
 * sync is requested. Knows no token.
 */
import type { Sql } from '../connection.js';
import { ACCOUNT, type Account } from './accounts.js';
import { hasToken, type TokenOwners } from './leases.js';
import { parkAccount, readTokens, type StoredTokens } from './tokens.js';

/** An account that a pass did not sync. */
export interface Unreached {
  userId: string;
  email: string | null;
  /** `held` by another process · `parked` until it has another token · `backing_off` after a failure. */
  reason: 'held' | 'parked' | 'backing_off';
  /** Who holds it. */
  owner: string | null;
  /** When it is due again, in UTC. */
  dueAt: Date | null;
}

/**
 * The accounts that a pass did not reach, the first `limit` of each kind after `after`.
 * @param before the pass took accounts whose last run began before this time
 */
export async function findUnreached(
  sql: Sql,
  { after, limit, before, tokens }: { after: string; limit: number; before: string; tokens: TokenOwners },
): Promise<(Unreached & { accountId: string })[]> {
  return sql<(Unreached & { accountId: string })[]>`
    select l.account_id::text as "accountId", a.user_id::text as "userId", a.email, lease_owner as owner,
      case when isfinite(due_at) then due_at end as "dueAt",
      case when lease_until > now() then 'held' when due_at = 'infinity' then 'parked' else 'backing_off' end as reason
    from calendly_leases l join calendly_accounts a on a.id = l.account_id
    where l.account_id > ${after}::bigint and a.state <> 'disconnected' and ${hasToken(sql, tokens)}
      and (lease_until > now() or due_at = 'infinity'
        or failures > 0 and due_at > now() and (started_at is null or started_at < ${before}::text::timestamptz))
    order by l.account_id limit ${limit}`;
}

/** Requests a full sync of these users, whether or not they are due. */
export async function requestFullSyncs(sql: Sql, userIds: string[]): Promise<void> {
  await sql`update users set calendly_initial_sync_complete = false where id = any(${userIds})`;
  await sql`
    update calendly_leases l set due_at = '-infinity'
    from calendly_accounts a
    where a.id = l.account_id and a.user_id = any(${userIds}) and due_at < 'infinity'`;
}

/** Makes the accounts due for which somebody has requested a full sync in `users`. Needs migration 022. */
export async function findRequestedFullSyncs(sql: Sql): Promise<void> {
  await sql`
    update calendly_leases set due_at = '-infinity'
    where account_id in (
      select l.account_id
      from calendly_leases l join calendly_accounts a on a.id = l.account_id join users u on u.id = a.user_id
      where u.calendly_initial_sync_complete is not true and l.finished_at is not null and l.failures = 0
        and l.due_at > now() and l.due_at < 'infinity'
      for no key update of l skip locked
    )`;
}

/** Accounts by id, with their stored tokens and whoever holds them, in the order of their ids. */
export async function readAccounts(
  sql: Sql,
  ids: string[],
): Promise<{ account: Account; tokens: StoredTokens | null; owner: string | null }[]> {
  const rows = await sql<(Account & { owner: string | null })[]>`
    select ${sql.unsafe(ACCOUNT)}, l.lease_owner as owner
    from calendly_accounts a left join calendly_leases l on l.account_id = a.id
    where a.id = any(${ids}::bigint[]) order by a.id`;
  const known = [];
  for (const { owner, ...account } of rows) {
    known.push({ account, owner, tokens: await readTokens(sql, account.id) });
  }
  return known;
}

/**
 * A service keeps every account at most so old: what is due later than that is due earlier. An account whose webhook
 * subscription works may wait longer.
 */
export async function keepWithin(sql: Sql, everyS: number, maxEveryS: number): Promise<void> {
  await sql`
    update calendly_leases l
    set due_at = latest.due_at, every_s = least(every_s, ${everyS}::float8)
    from (
      select l.account_id, started_at + make_interval(secs =>
        case when a.webhook_subscription_uri is null then ${everyS}::float8 else ${maxEveryS}::float8 end) as due_at
      from calendly_leases l join calendly_accounts a on a.id = l.account_id
      where failures = 0 and l.due_at < 'infinity' and l.due_at > now()
      for no key update of l skip locked
    ) latest
    where latest.account_id = l.account_id and latest.due_at < l.due_at`;
}

/** Makes the accounts due whose deliveries come to this URL: if one of them was missed, others may be. */
export async function distrustReceiver(sql: Sql, url: string): Promise<void> {
  await sql`
    update calendly_leases l set due_at = now()
    from calendly_accounts a
    where a.id = l.account_id and a.webhook_url = ${url} and l.due_at > now() and l.due_at < 'infinity'`;
}

/** The accounts that must get another token, and the fingerprint of the one that was refused. */
export async function findParked(
  sql: Sql,
): Promise<{ id: string; userId: string; calendlyUri: string; fingerprint: string | null }[]> {
  return sql`
    select id::text as id, user_id::text as "userId", calendly_uri as "calendlyUri", token_fingerprint as fingerprint
    from calendly_accounts where state = 'needs_reconnect' order by id`;
}

/** Parks an account, and remembers with which token. */
export async function parkWithToken(sql: Sql, accountId: string, fingerprint: string): Promise<void> {
  await parkAccount(sql, accountId, { state: 'needs_reconnect', reason: 'unauthorized' });
  await sql`update calendly_accounts set token_fingerprint = ${fingerprint} where id = ${accountId}`;
}

/** The users among these who have an account. */
export async function findConnected(sql: Sql, userIds: string[]): Promise<Set<string>> {
  const rows = await sql<{ id: string }[]>`
    select user_id::text as id from calendly_accounts where user_id::text = any(${userIds})`;
  return new Set(rows.map(({ id }) => id));
}

/** The active accounts that have a token, or those of these users. @returns their ids and users, in order */
export async function findAccountIds(
  sql: Sql,
  { after, limit, tokens }: { after: string; limit: number; tokens: TokenOwners },
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select l.account_id::text as id from calendly_leases l
    where l.account_id > ${after}::bigint and due_at < 'infinity' and ${hasToken(sql, tokens)}
    order by l.account_id limit ${limit}`;
  return rows.map(({ id }) => id);
}
