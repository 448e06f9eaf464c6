/**
 * SQL of `calendly_tokens`: the sealed tokens of each account. A new pair is only stored over the generation that it
 * replaces, so that of any number of processes one wins. Knows no key and no OAuth.
 */
import type { Sql } from '../connection.js';

/** The tokens of one account as they are stored. */
export interface StoredTokens {
  accountId: string;
  calendlyUri: string;
  /** `active`, `needs_reconnect` or `disconnected`; only an active account is synced. */
  state: string;
  kind: 'personal' | 'oauth';
  access: Buffer;
  refresh: Buffer | null;
  /** How long the access token is still valid, in ms by the database's clock; null: it does not expire. */
  validMs: number | null;
  /** One more with each new pair. */
  generation: string;
}

/** Tokens to store. */
export interface SealedTokens {
  access: Buffer;
  refresh: Buffer | null;
  /** Lifetime of the access token in seconds; null: it does not expire. */
  expiresIn: number | null;
  scope: string | null;
}

/** Of the tables `t`, and `a` for the accounts. */
export const TOKENS = `t.account_id::text as "accountId", a.calendly_uri as "calendlyUri", a.state, t.kind, t.access, t.refresh,
  (extract(epoch from t.expires_at - now()) * 1000)::float8 as "validMs", t.generation::text as generation`;

/** The tokens of an account; null if it has none. */
export async function readTokens(sql: Sql, accountId: string): Promise<StoredTokens | null> {
  const [row] = await sql<StoredTokens[]>`
    select ${sql.unsafe(TOKENS)} from calendly_tokens t join calendly_accounts a on a.id = t.account_id
    where t.account_id = ${accountId}`;
  return row ?? null;
}

/** The tokens of all accounts. */
export function listTokens(sql: Sql): Promise<StoredTokens[]> {
  return sql<StoredTokens[]>`
    select ${sql.unsafe(TOKENS)} from calendly_tokens t join calendly_accounts a on a.id = t.account_id order by a.id`;
}

/** How long a caller waits for another one's refresh, and how long one that is frozen can keep the row. */
const LOCK_LIMIT = '30s';

/** Locks the tokens of an account until the transaction ends, and reads them. Waits while they are refreshed. */
export async function lockTokens(sql: Sql, accountId: string): Promise<StoredTokens | null> {
  await sql`
    select set_config('lock_timeout', ${LOCK_LIMIT}, true),
      set_config('idle_in_transaction_session_timeout', ${LOCK_LIMIT}, true)`;
  await sql`select from calendly_tokens where account_id = ${accountId} for update`;
  // Read in a statement of its own: the one that waited sees the other tables as they were before.
  return readTokens(sql, accountId);
}

/** Stores the tokens of an account that was just connected, over any that it had, and makes the account due. */
export async function saveTokens(
  sql: Sql,
  accountId: string,
  kind: StoredTokens['kind'],
  { access, refresh, expiresIn, scope }: SealedTokens,
): Promise<void> {
  await sql`
    insert into calendly_tokens as t (account_id, kind, access, refresh, expires_at, scope, refreshed_at)
    values (${accountId}, ${kind}, ${access}, ${refresh}, now() + make_interval(secs => ${expiresIn}::float8), ${scope}, now())
    on conflict (account_id) do update set
      kind = excluded.kind, access = excluded.access, refresh = excluded.refresh, expires_at = excluded.expires_at,
      scope = excluded.scope, refreshed_at = excluded.refreshed_at, generation = t.generation + 1`;
  await sql`insert into calendly_leases (account_id) values (${accountId}) on conflict do nothing`;
  await activateAccount(sql, accountId);
}

/**
 * Stores a new pair over the generation that it replaces. It is the only pair that works, so it also ends
 * `needs_reconnect`, which another process may have recorded while this one was cut off.
 * @returns false if the tokens have been replaced or removed
 */
export async function replaceTokens(
  sql: Sql,
  { accountId, generation }: Pick<StoredTokens, 'accountId' | 'generation'>,
  { access, refresh, expiresIn, scope }: SealedTokens,
): Promise<boolean> {
  const rows = await sql`
    update calendly_tokens
    set access = ${access}, refresh = coalesce(${refresh}::bytea, refresh), scope = coalesce(${scope}, scope),
      expires_at = now() + make_interval(secs => ${expiresIn}::float8), refreshed_at = now(), generation = generation + 1
    where account_id = ${accountId} and generation = ${generation}
    returning 1`;
  if (rows.length === 0) return false;
  await activateAccount(sql, accountId);
  return true;
}

/** Whether any account has stored tokens. False without the tables. */
export async function hasTokens(sql: Sql): Promise<boolean> {
  const [table] = await sql<
    { exists: boolean }[]
  >`select to_regclass('calendly_tokens') is not null as exists`;
  if (!table?.exists) return false;
  const [row] = await sql<{ found: boolean }[]>`select exists (select from calendly_tokens) as found`;
  return row?.found ?? false;
}

/** Deletes the tokens of an account. */
export async function deleteTokens(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from calendly_tokens where account_id = ${accountId}`;
}

/** Lets an account be synced again, now. Does nothing to one that is active. */
export async function activateAccount(sql: Sql, accountId: string): Promise<void> {
  await sql`
    update calendly_leases set due_at = now(), failures = 0 where account_id = ${accountId} and due_at = 'infinity'`;
  await sql`
    update calendly_accounts set state = 'active', state_reason = null, updated_at = now()
    where id = ${accountId} and state <> 'active'`;
}

/**
 * Parks an account: it is not synced before it is connected again.
 * @param generation of tokens that do not work; if they have been replaced since, nothing happens
 * @returns whether the account is parked now
 */
export async function parkAccount(
  sql: Sql,
  accountId: string,
  {
    state,
    reason,
    generation,
  }: { state: 'needs_reconnect' | 'disconnected'; reason: string | null; generation?: string },
): Promise<boolean> {
  const rows = await sql`
    update calendly_accounts set state = ${state}, state_reason = ${reason}, updated_at = now()
    where id = ${accountId} and (${generation ?? null}::bigint is null or exists (
      select from calendly_tokens where account_id = ${accountId} and generation = ${generation ?? null}::bigint
    ))
    returning 1`;
  if (rows.length === 0) return false;
  await sql`update calendly_leases set due_at = 'infinity' where account_id = ${accountId}`;
  return true;
}

/** How many accounts have a token that is not sealed with this key. */
export async function countTokensOfOtherKeys(sql: Sql, keyId: Buffer): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from calendly_tokens
    where substr(access, 2, 4) <> ${keyId} or substr(refresh, 2, 4) <> ${keyId}`;
  return row?.count ?? 0;
}

/** Locks up to `limit` accounts with a token that is not sealed with this key, in the order of their ids. */
export async function lockTokensOfOtherKeys(sql: Sql, keyId: Buffer, limit: number): Promise<StoredTokens[]> {
  return sql<StoredTokens[]>`
    select ${sql.unsafe(TOKENS)} from calendly_tokens t join calendly_accounts a on a.id = t.account_id
    where substr(t.access, 2, 4) <> ${keyId} or substr(t.refresh, 2, 4) <> ${keyId}
    order by t.account_id limit ${limit} for update of t`;
}

/** Replaces sealed values by the same tokens sealed with another key, in the transaction that locked them. */
export async function resealTokens(sql: Sql, { accountId, access, refresh }: StoredTokens): Promise<void> {
  await sql`update calendly_tokens set access = ${access}, refresh = ${refresh} where account_id = ${accountId}`;
}
