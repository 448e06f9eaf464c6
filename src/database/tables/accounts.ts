/** SQL of `calendly_accounts`: whose token is whose, and which process works on an account right now. */
import type { Sql } from '../connection.js';

/** One Calendly user that is synced here. */
export interface Account {
  id: string;
  userId: string;
  /** The Calendly user's URI. */
  calendlyUri: string;
  email: string | null;
  /** When the full window was last listed completely. */
  lastFullListingAt: Date | null;
}

const COLUMNS =
  'id::text as id, user_id::text as "userId", calendly_uri as "calendlyUri", email, last_full_listing_at as "lastFullListingAt"';

/** The account that was last confirmed with the token of this fingerprint. */
export async function findAccountByToken(sql: Sql, tokenFingerprint: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    select ${sql.unsafe(COLUMNS)} from calendly_accounts where token_fingerprint = ${tokenFingerprint}`;
  return row ?? null;
}

/** The account of a Calendly user. */
export async function findAccountByUri(sql: Sql, calendlyUri: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    select ${sql.unsafe(COLUMNS)} from calendly_accounts where calendly_uri = ${calendlyUri}`;
  return row ?? null;
}

/** The account that is linked to a user of the database. */
export async function findAccountByUser(sql: Sql, userId: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    select ${sql.unsafe(COLUMNS)} from calendly_accounts where user_id = ${userId}`;
  return row ?? null;
}

/** What `/users/me` said of an account. */
export interface Identity {
  calendlyUri: string;
  organizationUri: string | null;
  email: string | null;
  name: string | null;
  timezone: string | null;
  tokenFingerprint: string;
}

/** One transaction at a time may link Calendly users to users; the others wait for its end, which is a few statements away. */
export async function lockLinking(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('calendly-sync: link accounts'))`;
}

/** Links a Calendly user to a user of the database, or brings an account up to date. The link of an existing account stays. */
export async function saveAccount(sql: Sql, userId: string, identity: Identity): Promise<Account> {
  const { calendlyUri, organizationUri, email, name, timezone, tokenFingerprint } = identity;
  await sql`
    update calendly_accounts set token_fingerprint = null
    where token_fingerprint = ${tokenFingerprint} and calendly_uri <> ${calendlyUri}`;
  const [row] = await sql<Account[]>`
    insert into calendly_accounts as a
      (user_id, calendly_uri, organization_uri, email, name, timezone, token_fingerprint)
    values (${userId}, ${calendlyUri}, ${organizationUri}, ${email}, ${name}, ${timezone}, ${tokenFingerprint})
    on conflict (calendly_uri) do update set
      organization_uri = excluded.organization_uri, email = excluded.email, name = excluded.name,
      timezone = excluded.timezone, token_fingerprint = excluded.token_fingerprint, updated_at = now()
    returning ${sql.unsafe(COLUMNS)}`;
  if (!row) throw new Error('calendly_accounts returned no row');
  return row;
}

/** How long a lease lasts when nobody renews it, in seconds. */
export const LEASE_SECONDS = 120;

/** Who holds an account, when somebody does. */
export async function leaseHolder(
  sql: Sql,
  accountId: string,
): Promise<{ owner: string; expired: boolean } | null> {
  const [row] = await sql<{ owner: string | null; expired: boolean }[]>`
    select lease_owner as owner, coalesce(lease_expires_at < now(), true) as expired
    from calendly_accounts where id = ${accountId}`;
  return row?.owner ? { owner: row.owner, expired: row.expired } : null;
}

/**
 * Takes an account, with one UPDATE: of any number of processes just one succeeds.
 * @param deadOwner a holder that is known to be dead; its lease counts as expired
 */
export async function takeLease(
  sql: Sql,
  accountId: string,
  owner: string,
  deadOwner: string | null,
): Promise<boolean> {
  const rows = await sql`
    update calendly_accounts
    set lease_owner = ${owner}, lease_expires_at = now() + make_interval(secs => ${LEASE_SECONDS})
    where id = ${accountId}
      and (lease_owner is null or lease_expires_at is null or lease_expires_at < now() or lease_owner = ${deadOwner})
    returning 1`;
  return rows.length > 0;
}

/** Renews a lease. False: it was lost to another process, and nothing more may be recorded under it. */
export async function renewLease(sql: Sql, accountId: string, owner: string): Promise<boolean> {
  const rows = await sql`
    update calendly_accounts set lease_expires_at = now() + make_interval(secs => ${LEASE_SECONDS})
    where id = ${accountId} and lease_owner = ${owner}
    returning 1`;
  return rows.length > 0;
}

/** Gives an account back, with the error that its run ended in, if any. False: the lease was lost before. */
export async function releaseLease(
  sql: Sql,
  accountId: string,
  owner: string,
  error: { code: string; message: string } | null,
): Promise<boolean> {
  const rows = await sql`
    update calendly_accounts
    set lease_owner = null, lease_expires_at = null, updated_at = now(),
      last_error_code = ${error?.code ?? null}, last_error = ${error?.message ?? null},
      last_error_at = ${error ? sql`now()` : null}
    where id = ${accountId} and lease_owner = ${owner}
    returning 1`;
  return rows.length > 0;
}

/** Remembers that the full window was listed completely by a run that began then. */
export async function recordFullListing(sql: Sql, accountId: string, runId: string): Promise<void> {
  await sql`
    update calendly_accounts set last_full_listing_at = (select started_at from calendly_sync_runs where id = ${runId})
    where id = ${accountId}`;
}

/** The users that these Calendly users are linked to, by Calendly URI. */
export async function findUsersByUris(sql: Sql, calendlyUris: string[]): Promise<Map<string, string>> {
  if (calendlyUris.length === 0) return new Map();
  const rows = await sql<{ uri: string; user_id: string }[]>`
    select calendly_uri as uri, user_id::text as user_id
    from calendly_accounts where calendly_uri = any(${calendlyUris})`;
  return new Map(rows.map((row) => [row.uri, row.user_id]));
}
