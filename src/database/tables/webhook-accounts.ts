/** SQL of `calendly_accounts`, as far as webhook subscriptions are concerned: which one at Calendly is ours, and its key's fingerprint. */
import type { Sql } from '../connection.js';

/** What an account knows of its webhook subscription. */
export interface WebhookAccount {
  accountId: string;
  userId: string;
  calendlyUri: string;
  organizationUri: string | null;
  email: string | null;
  subscriptionUri: string | null;
  scope: string | null;
  url: string | null;
  keyFingerprint: string | null;
}

const COLUMNS = `id::text as "accountId", user_id::text as "userId", calendly_uri as "calendlyUri",
  organization_uri as "organizationUri", email, webhook_subscription_uri as "subscriptionUri", webhook_scope as scope,
  webhook_url as url, webhook_key_fingerprint as "keyFingerprint"`;

/** One account. */
export async function readWebhookAccount(sql: Sql, accountId: string): Promise<WebhookAccount | null> {
  const [row] = await sql<WebhookAccount[]>`
    select ${sql.unsafe(COLUMNS)} from calendly_accounts where id = ${accountId}`;
  return row ?? null;
}

/** All accounts, in the order of their making. */
export async function readWebhookAccounts(sql: Sql): Promise<WebhookAccount[]> {
  return sql<WebhookAccount[]>`select ${sql.unsafe(COLUMNS)} from calendly_accounts order by id`;
}

/**
 * When a user's last delivery came, and how many bookings made well after that (or, without any, after `since`) only the poll
 * brought. What was booked in the last quarter of an hour may still be on its way.
 */
export async function readWebhookTraffic(
  sql: Sql,
  userId: string,
  since: string | null,
): Promise<{ last: Date | null; missed: number }> {
  const [row] = await sql<{ last: Date | null; missed: number }[]>`
    with traffic as (
      select max(created_at) as last from calendly_webhook_events where user_id = ${userId}
    )
    select traffic.last, (
      select count(*)::float8 from meetings m
      where m.user_id = ${userId} and m.meeting_source = 'calendly' and m.synced_via_webhook is not true
        and m.calendly_created_at < now() - interval '15 minutes'
        and m.calendly_created_at
          > greatest(traffic.last, ${since}::text::timestamptz) + interval '15 minutes'
    ) as missed
    from traffic`;
  return row ?? { last: null, missed: 0 };
}

/** URIs of all subscriptions that any account here made. */
export async function ownSubscriptionUris(sql: Sql): Promise<Set<string>> {
  const rows = await sql<{ uri: string }[]>`
    select webhook_subscription_uri as uri from calendly_accounts where webhook_subscription_uri is not null`;
  return new Set(rows.map(({ uri }) => uri));
}

/** What is about to be asked of Calendly, or was: without a URI, the subscription may or may not have been made. */
export interface SubscriptionRecord {
  subscriptionUri: string | null;
  scope: 'user' | 'organization';
  url: string;
  keyFingerprint: string;
}

/** Remembers a subscription, or that one is being made. */
export async function saveSubscription(
  sql: Sql,
  accountId: string,
  { subscriptionUri, scope, url, keyFingerprint }: SubscriptionRecord,
): Promise<void> {
  await sql`
    update calendly_accounts
    set webhook_subscription_uri = ${subscriptionUri}, webhook_scope = ${scope}, webhook_url = ${url},
      webhook_key_fingerprint = ${keyFingerprint}, updated_at = now()
    where id = ${accountId}`;
}

/** Forgets the subscription of an account. */
export async function clearSubscription(sql: Sql, accountId: string): Promise<void> {
  await sql`
    update calendly_accounts
    set webhook_subscription_uri = null, webhook_scope = null, webhook_url = null,
      webhook_key_fingerprint = null, updated_at = now()
    where id = ${accountId}`;
}

/** Sets `calendly_webhook_enabled` of every user to whether a subscription tells of their bookings. */
export async function refreshWebhookEnabled(sql: Sql): Promise<void> {
  await sql`
    update users u set calendly_webhook_enabled = covered.enabled
    from (
      select a.user_id, exists (
        select from calendly_accounts s
        where s.webhook_subscription_uri is not null
          and (s.id = a.id or (s.webhook_scope = 'organization' and s.organization_uri = a.organization_uri))
      ) as enabled
      from calendly_accounts a
    ) covered
    where u.id = covered.user_id and u.calendly_webhook_enabled is distinct from covered.enabled`;
}

/** Makes the next sync list the full window: something may have been missed anywhere in it. */
export async function requestFullListing(sql: Sql, accountId: string): Promise<void> {
  await sql`update calendly_accounts set last_full_listing_at = null where id = ${accountId}`;
}
