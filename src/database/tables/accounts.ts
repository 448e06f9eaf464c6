/** SQL of `calendly_accounts`: whose token and whose webhook subscription is whose. */
import type { Sql } from '../connection.js';

/** One Calendly user that is synced here. */
export interface Account {
  id: string;
  userId: string;
  /** The Calendly user's URI. */
  calendlyUri: string;
  organizationUri: string | null;
  email: string | null;
  /** When the full window was last listed completely. */
  lastFullListingAt: Date | null;
  /** Our webhook subscription. A URL without a URI: it was requested, and may or may not have been created. */
  subscriptionUri: string | null;
  subscriptionScope: string | null;
  subscriptionUrl: string | null;
  keyFingerprint: string | null;
}

/** Of the table as `a`. */
export const ACCOUNT = `a.id::text as id, a.user_id::text as "userId", calendly_uri as "calendlyUri",
  organization_uri as "organizationUri", email, last_full_listing_at as "lastFullListingAt",
  webhook_subscription_uri as "subscriptionUri", webhook_scope as "subscriptionScope",
  webhook_url as "subscriptionUrl", webhook_key_fingerprint as "keyFingerprint"`;

/**
 * The account with this value in one of its unique columns. A token's fingerprint is that of the last confirmed
 * token.
 */
export async function findAccountBy(
  sql: Sql,
  column: 'id' | 'user_id' | 'calendly_uri' | 'token_fingerprint',
  value: string,
): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    select ${sql.unsafe(ACCOUNT)} from calendly_accounts a where ${sql(column)} = ${value}`;
  return row ?? null;
}

/** All accounts, the oldest first. */
export async function listAccounts(sql: Sql): Promise<Account[]> {
  return sql<Account[]>`select ${sql.unsafe(ACCOUNT)} from calendly_accounts a order by id`;
}

/** The users that these Calendly users are linked to, by Calendly URI. */
export async function findUsersByUris(sql: Sql, calendlyUris: string[]): Promise<Map<string, string>> {
  if (calendlyUris.length === 0) return new Map();
  const rows = await sql<{ uri: string; user_id: string }[]>`
    select calendly_uri as uri, user_id::text as user_id
    from calendly_accounts where calendly_uri = any(${calendlyUris})`;
  return new Map(rows.map((row) => [row.uri, row.user_id]));
}

/** What `/users/me` returned, and the fingerprint of the token it was requested with. */
export interface CalendlyProfile {
  calendlyUri: string;
  organizationUri: string | null;
  email: string | null;
  name: string | null;
  timezone: string | null;
  tokenFingerprint: string;
}

/**
 * Lets one transaction at a time link Calendly users to users; the others wait for its end, which is a few statements
 * away.
 */
export async function lockLinking(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('calendly-sync: link accounts'))`;
}

/**
 * Links a Calendly user to a user of the database, or updates an account. The link of an existing account does not
 * change.
 */
export async function saveAccount(sql: Sql, userId: string, profile: CalendlyProfile): Promise<Account> {
  const { calendlyUri, organizationUri, email, name, timezone, tokenFingerprint } = profile;
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
    returning ${sql.unsafe(ACCOUNT)}`;
  if (!row) throw new Error('calendly_accounts returned no row');
  return row;
}

/** Makes the next sync list the full window: something may have been missed anywhere in it. */
export async function requestFullListing(sql: Sql, accountId: string): Promise<void> {
  await sql`update calendly_accounts set last_full_listing_at = null where id = ${accountId}`;
}

/** URIs of all subscriptions that an account of this database created. */
export async function ownSubscriptionUris(sql: Sql): Promise<Set<string>> {
  const rows = await sql<{ uri: string }[]>`
    select webhook_subscription_uri as uri from calendly_accounts where webhook_subscription_uri is not null`;
  return new Set(rows.map(({ uri }) => uri));
}

/** A subscription; without a URI, one that is about to be requested from Calendly. */
export interface SubscriptionRecord {
  subscriptionUri: string | null;
  scope: 'user' | 'organization';
  url: string;
  keyFingerprint: string;
}

/** Records the subscription of an account; null: it has none. */
export async function saveSubscription(
  sql: Sql,
  accountId: string,
  record: SubscriptionRecord | null,
): Promise<void> {
  await sql`
    update calendly_accounts
    set webhook_subscription_uri = ${record?.subscriptionUri ?? null}, webhook_scope = ${record?.scope ?? null},
      webhook_url = ${record?.url ?? null}, webhook_key_fingerprint = ${record?.keyFingerprint ?? null},
      updated_at = now()
    where id = ${accountId}`;
}
