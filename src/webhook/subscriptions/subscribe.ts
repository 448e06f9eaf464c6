/**
 * Creates, replaces, lists and deletes our webhook subscriptions at Calendly; those of others are never changed.
 * Calendly cannot update a subscription: a new one is created, and the old one is deleted only once the new one
 * exists.
 */
import { randomBytes } from 'node:crypto';
import type { CalendlyClient } from '../../calendly/client.js';
import { keyFingerprint } from '../../calendly/signature.js';
import type { Subscription, SubscriptionScope } from '../../calendly/subscriptions.js';
import type { Database } from '../../database/connection.js';
import { persistentTransaction } from '../../database/retry.js';
import {
  type Account,
  findAccountBy,
  ownSubscriptionUris,
  type SubscriptionRecord,
  saveSubscription,
} from '../../database/tables/accounts.js';
import { refreshWebhookEnabled } from '../../database/tables/users.js';
import { CalendlySyncError } from '../../errors.js';
import { INVITEE_EVENTS } from '../receiver/delivery.js';

/** One connected account, and the client to change its subscription. */
export interface SubscriberOptions {
  database: Database;
  client: CalendlyClient;
  accountId: string;
}

export interface WantedSubscription {
  url: string;
  scope: 'user' | 'organization';
  signingKey: string;
}

export interface Subscribed {
  subscription: Subscription;
  /** False if the existing subscription already matched. */
  made: boolean;
  /** URI of the subscription that was replaced. */
  replaced: string | null;
}

/** A subscription as it is listed. */
export interface ListedSubscription extends Subscription {
  /** Created by this tool for an account of this database. */
  ours: boolean;
}

/** Creates a signing key: 32 random bytes in characters that need no quoting in a shell or an env file. */
export function newSigningKey(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Makes sure that Calendly sends bookings to the URL, signed with the key.
 * @throws CalendlySyncError `calendly_rejected` if somebody else's subscription has the URL
 */
export async function subscribe(options: SubscriberOptions, wanted: WantedSubscription): Promise<Subscribed> {
  const { subscriptions } = options.client;
  const account = await readAccount(options);
  const { subscriptionUri: oldUri } = account;
  const { url, scope, signingKey } = wanted;
  const record = { url, scope, keyFingerprint: keyFingerprint(signingKey) };
  const old = oldUri === null ? null : await subscriptions.get(oldUri);
  if (old && matches(old, account, record)) {
    await save(options, { ...record, subscriptionUri: old.uri });
    return { subscription: old, made: false, replaced: null };
  }
  // Recorded first: after an interruption the next attempt recognizes the new subscription as ours.
  if (oldUri === null) await save(options, { ...record, subscriptionUri: null });
  const { made, replaced } = await create(options, account, wanted).catch(async (error) => {
    if (oldUri === null && isRefusal(error)) await save(options, null);
    throw error;
  });
  await saveOrDelete(options, made.uri, record);
  if (old && old.uri !== replaced) await subscriptions.remove(old.uri);
  return { subscription: made, made: true, replaced: replaced ?? old?.uri ?? null };
}

/** Deletes our subscription, if there is one. @returns its URI */
export async function unsubscribe(options: SubscriberOptions): Promise<string | null> {
  const { subscriptionUri } = await readAccount(options);
  if (subscriptionUri !== null) await options.client.subscriptions.remove(subscriptionUri);
  await save(options, null);
  return subscriptionUri;
}

/** Lists what the account may see: its own subscriptions and, for an owner or admin, those of its organization. */
export async function listSubscriptions(options: SubscriberOptions): Promise<ListedSubscription[]> {
  const { subscriptions } = options.client;
  const account = await readAccount(options);
  const own = await options.database.transaction(ownSubscriptionUris, { readOnly: true });
  const ofUser = await subscriptions.list(scopeOf(account, 'user'));
  const ofOrganization = await unlessForbidden(subscriptions.list(scopeOf(account, 'organization')), []);
  const distinct = new Map([...ofUser, ...ofOrganization].map((one) => [one.uri, one]));
  return [...distinct.values()].map((one) => ({ ...one, ours: own.has(one.uri) }));
}

/**
 * The result of a request, or `fallback` if Calendly answers 403: a plain member may not see the subscriptions of
 * others.
 */
export async function unlessForbidden<T, F>(request: Promise<T>, fallback: F): Promise<T | F> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof CalendlySyncError && error.code === 'calendly_forbidden') return fallback;
    throw error;
  }
}

async function readAccount({ database, accountId }: SubscriberOptions): Promise<Account> {
  const account = await database.transaction((sql) => findAccountBy(sql, 'id', accountId), {
    readOnly: true,
  });
  if (account === null) throw new CalendlySyncError('failed', 'The account no longer exists.');
  return account;
}

/** Creates the subscription. Calendly allows one per URL: if ours has it, that one is deleted first. */
async function create(
  { client: { subscriptions } }: SubscriberOptions,
  account: Account,
  { url, scope, signingKey }: WantedSubscription,
): Promise<{ made: Subscription; replaced: string | null }> {
  const ask = () =>
    subscriptions.create(scopeOf(account, scope), { url, events: INVITEE_EVENTS, signingKey });
  const first = await ask();
  if ('made' in first) return { made: first.made, replaced: null };
  const listed = await subscriptions.list(scopeOf(account, scope));
  const conflicting = listed.find(({ callback_url }) => callback_url === url);
  if (!conflicting || !isOurs(conflicting, account, url)) throw urlTakenError(url);
  await subscriptions.remove(conflicting.uri);
  const second = await ask();
  if ('made' in second) return { made: second.made, replaced: conflicting.uri };
  throw urlTakenError(url);
}

/** True if we recorded its URI, or if we were interrupted while creating one for this URL. */
function isOurs({ uri, creator }: Subscription, account: Account, url: string): boolean {
  const { subscriptionUri, subscriptionUrl, calendlyUri } = account;
  const interrupted = subscriptionUri === null && subscriptionUrl === url && creator === calendlyUri;
  return uri === subscriptionUri || interrupted;
}

function matches(
  old: Subscription,
  account: Account,
  wanted: Omit<SubscriptionRecord, 'subscriptionUri'>,
): boolean {
  return (
    old.state === 'active' &&
    old.callback_url === wanted.url &&
    old.scope === wanted.scope &&
    account.keyFingerprint === wanted.keyFingerprint &&
    INVITEE_EVENTS.every((event) => old.events?.includes(event))
  );
}

function scopeOf(
  { organizationUri, calendlyUri }: Account,
  scope: SubscriptionScope['scope'],
): SubscriptionScope {
  if (organizationUri !== null) return { scope, organization: organizationUri, user: calendlyUri };
  const hint = 'Run: calendly-sync sync';
  throw new CalendlySyncError('failed', 'Calendly named no organization of this user.', { hint });
}

/** True if Calendly refused the request, so that nothing was created. */
function isRefusal(error: unknown): boolean {
  const refusals = ['calendly_rejected', 'calendly_forbidden', 'calendly_unauthorized', 'calendly_not_found'];
  return error instanceof CalendlySyncError && refusals.includes(error.code);
}

/** Records the subscription of the account; null clears it. */
function save({ database, accountId }: SubscriberOptions, record: SubscriptionRecord | null): Promise<void> {
  return persistentTransaction(database, async (sql) => {
    await saveSubscription(sql, accountId, record);
    await refreshWebhookEnabled(sql);
  });
}

/** Records a new subscription; deletes it at Calendly if that fails, so that it does not stay there unknown. */
async function saveOrDelete(
  options: SubscriberOptions,
  subscriptionUri: string,
  record: Omit<SubscriptionRecord, 'subscriptionUri'>,
): Promise<void> {
  try {
    await save(options, { ...record, subscriptionUri });
  } catch (error) {
    await options.client.subscriptions.remove(subscriptionUri);
    throw error;
  }
}

function urlTakenError(url: string): CalendlySyncError {
  const message = `Calendly already has a subscription for ${url}, created elsewhere, so its signing key is unknown.`;
  return new CalendlySyncError('calendly_rejected', message, {
    hint:
      'See `calendly-sync webhook list`. Delete it where it was created, or use another URL ' +
      '(for example with ?from=calendly-sync).',
  });
}
