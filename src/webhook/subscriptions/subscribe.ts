/**
 * Our webhook subscriptions at Calendly: making, renewing, removing. What others made is never touched. Calendly cannot change a
 * subscription, so that renewing is making a new one, and the old one goes only when the new one is there.
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

/** One connected account, and the means to change its subscription. */
export interface SubscriberOptions {
  database: Database;
  client: CalendlyClient;
  accountId: string;
}

export interface Subscribed {
  subscription: Subscription;
  /** False: the one that was there is as it should be. */
  made: boolean;
  /** URI of the one that it took the place of. */
  replaced: string | null;
}

/** A key as good as any: 32 random bytes as text that a shell and an env file take as it is. */
export function newSigningKey(): string {
  return randomBytes(32).toString('base64url');
}

/** The account with what it knows of its subscription. @throws CalendlySyncError `failed` when it is gone */
export async function webhookAccount({ database, accountId }: SubscriberOptions): Promise<Account> {
  const account = await database.transaction((sql) => findAccountBy(sql, 'id', accountId), {
    readOnly: true,
  });
  if (account === null) throw new CalendlySyncError('failed', 'The account is not there any more.');
  return account;
}

/**
 * Makes sure that Calendly tells `url` of bookings, signed with `signingKey`.
 * @throws CalendlySyncError `calendly_rejected` when somebody else's subscription has the URL
 */
export async function subscribe(
  options: SubscriberOptions,
  wanted: { url: string; scope: 'user' | 'organization'; signingKey: string },
): Promise<Subscribed> {
  const { client } = options;
  const account = await webhookAccount(options);
  const scope = scopeOf(account, wanted.scope);
  const record = { scope: wanted.scope, url: wanted.url, keyFingerprint: keyFingerprint(wanted.signingKey) };
  const old =
    account.subscriptionUri === null ? null : await client.subscriptions.get(account.subscriptionUri);
  if (old && isAsWanted(account, old, record)) {
    await remember(options, { ...record, subscriptionUri: old.uri });
    return { subscription: old, made: false, replaced: null };
  }
  // Written down first: should we be cut off now, the next try knows whose the new one is.
  if (account.subscriptionUri === null) await remember(options, { ...record, subscriptionUri: null });
  const ask = { url: wanted.url, events: INVITEE_EVENTS, signingKey: wanted.signingKey };
  const { made, replaced } = await make(options, account, scope, ask).catch(async (thrown) => {
    if (account.subscriptionUri === null && isRefusal(thrown)) await forget(options);
    throw thrown;
  });
  await keepOrUndo(options, { ...record, subscriptionUri: made.uri });
  if (old && old.uri !== replaced) await client.subscriptions.remove(old.uri);
  return { subscription: made, made: true, replaced: replaced ?? old?.uri ?? null };
}

/** Makes a subscription. Calendly has one for a URL: when that one is ours, it goes first. */
async function make(
  options: SubscriberOptions,
  account: Account,
  scope: SubscriptionScope,
  ask: Parameters<CalendlyClient['subscriptions']['create']>[1],
): Promise<{ made: Subscription; replaced: string | null }> {
  const { subscriptions } = options.client;
  const first = await subscriptions.create(scope, ask);
  if ('made' in first) return { made: first.made, replaced: null };
  const rival = await rivalOf(options, account, scope, ask.url);
  if (rival === null) throw taken(ask.url);
  await subscriptions.remove(rival.uri);
  const second = await subscriptions.create(scope, ask);
  if ('made' in second) return { made: second.made, replaced: rival.uri };
  throw taken(ask.url);
}

/** Deletes our subscription, if there is one. @returns its URI */
export async function unsubscribe(options: SubscriberOptions): Promise<string | null> {
  const account = await webhookAccount(options);
  if (account.subscriptionUri !== null) await options.client.subscriptions.remove(account.subscriptionUri);
  await forget(options);
  return account.subscriptionUri;
}

/** A subscription as it is shown. */
export interface ListedSubscription extends Subscription {
  /** Made by this tool for an account of this database. */
  ours: boolean;
}

/** The subscriptions that the account may see: its own, and where it is an owner or admin its organization's. */
export async function listSubscriptions(options: SubscriberOptions): Promise<ListedSubscription[]> {
  const account = await webhookAccount(options);
  const own = await options.database.transaction(ownSubscriptionUris, { readOnly: true });
  const ofUser = await options.client.subscriptions.list(scopeOf(account, 'user'));
  const ofAll = await listIfAllowed(options.client, scopeOf(account, 'organization'));
  const all = new Map([...ofUser, ...ofAll].map((one) => [one.uri, one]));
  return [...all.values()].map((one) => ({ ...one, ours: own.has(one.uri) }));
}

async function listIfAllowed(client: CalendlyClient, scope: SubscriptionScope): Promise<Subscription[]> {
  try {
    return await client.subscriptions.list(scope);
  } catch (thrown) {
    // A plain member may not look; then there is nothing of it to show.
    if (thrown instanceof CalendlySyncError && thrown.code === 'calendly_forbidden') return [];
    throw thrown;
  }
}

/** The subscription that has the URL, when it is ours: remembered by its URI, or one that was being made when we were cut off. */
async function rivalOf(
  options: SubscriberOptions,
  account: Account,
  scope: SubscriptionScope,
  url: string,
): Promise<Subscription | null> {
  const found = await options.client.subscriptions.list(scope);
  const rival = found.find(({ callback_url }) => callback_url === url);
  if (!rival) return null;
  const cutOff =
    account.subscriptionUri === null &&
    account.subscriptionUrl === url &&
    rival.creator === account.calendlyUri;
  return rival.uri === account.subscriptionUri || cutOff ? rival : null;
}

function isAsWanted(
  account: Account,
  old: Subscription,
  record: Omit<SubscriptionRecord, 'subscriptionUri'>,
): boolean {
  return (
    old.state === 'active' &&
    old.callback_url === record.url &&
    old.scope === record.scope &&
    account.keyFingerprint === record.keyFingerprint &&
    INVITEE_EVENTS.every((kind) => old.events?.includes(kind))
  );
}

function scopeOf({ organizationUri, calendlyUri }: Account, scope: 'user' | 'organization') {
  if (organizationUri === null) {
    throw new CalendlySyncError('failed', 'Calendly named no organization of this user.', {
      hint: 'Run: calendly-sync sync',
    });
  }
  return { scope, organization: organizationUri, user: calendlyUri };
}

/** True when Calendly said no: then nothing was made. */
function isRefusal(thrown: unknown): boolean {
  const refusals = ['calendly_rejected', 'calendly_forbidden', 'calendly_unauthorized', 'calendly_not_found'];
  return thrown instanceof CalendlySyncError && refusals.includes(thrown.code);
}

function forget({ database, accountId }: SubscriberOptions): Promise<void> {
  return persistentTransaction(database, async (sql) => {
    await saveSubscription(sql, accountId, null);
    await refreshWebhookEnabled(sql);
  });
}

function remember({ database, accountId }: SubscriberOptions, record: SubscriptionRecord): Promise<void> {
  return persistentTransaction(database, async (sql) => {
    await saveSubscription(sql, accountId, record);
    await refreshWebhookEnabled(sql);
  });
}

/** Remembers a new subscription; one that cannot be remembered is taken back, so that nobody's stays at Calendly. */
async function keepOrUndo(options: SubscriberOptions, record: SubscriptionRecord): Promise<void> {
  try {
    await remember(options, record);
  } catch (thrown) {
    if (record.subscriptionUri !== null) await options.client.subscriptions.remove(record.subscriptionUri);
    throw thrown;
  }
}

function taken(url: string): CalendlySyncError {
  return new CalendlySyncError(
    'calendly_rejected',
    `Calendly has a subscription for ${url} already, and it was not made here: what signs it is not known.`,
    {
      hint: 'See `calendly-sync webhook list`. Delete it where it was made, or use another URL (…?from=calendly-sync makes one).',
    },
  );
}
