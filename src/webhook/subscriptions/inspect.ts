/**
 * Reads the state of our webhook subscriptions: what the database recorded and, given a client, what Calendly says.
 * Calendly notifies nobody when it gives up on a receiver. States facts; `health/checks/webhooks.ts` decides which
 * are problems.
 */
import { fingerprintOf } from '../../accounts/resolve.js';
import type { CalendlyClient } from '../../calendly/client.js';
import { keyFingerprint } from '../../calendly/signature.js';
import type { Subscription } from '../../calendly/subscriptions.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import type { Database } from '../../database/connection.js';
import { type Account, findAccountBy, listAccounts } from '../../database/tables/accounts.js';
import { countFailed, readWaiting, readWebhookTraffic } from '../../database/tables/webhook-events.js';
import { readRejections } from '../../database/tables/webhook-rejections.js';
import { type CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import {
  type ListedSubscription,
  listSubscriptions,
  type SubscriberOptions,
  unlessForbidden,
} from './subscribe.js';

export interface InspectOptions {
  database: Database;
  /** Null reads the database only. */
  client: CalendlyClient | null;
  /** The client's token: what it may see depends on its user. */
  token: string | null;
  signingKeys: readonly string[];
}

export interface WebhookState {
  /** Every subscription at Calendly that the token may see; empty if Calendly was not asked. */
  listed: ListedSubscription[];
  /** One for each account with a subscription of ours. */
  own: OwnSubscription[];
  /** Why Calendly could not be asked, or not about all of them. */
  error: CalendlySyncError | null;
  /** Stored deliveries that could not be applied, and the newest error. */
  failed: { count: number; error: string | null };
  /** Stored deliveries that wait for a lock: since when, and who holds it. */
  waiting: { count: number; ageMs: number; holder: string | null };
  /** Requests that were rejected in the last 24 hours, by reason. */
  rejections: { reason: string; count: number; last_at: Date }[];
}

/** `forbidden`: another user's subscription, which only an owner or admin may see. */
export type SubscriptionState = 'active' | 'disabled' | 'gone' | 'forbidden';

export interface OwnSubscription {
  email: string | null;
  url: string | null;
  /** Null if Calendly was not asked. */
  state: SubscriptionState | null;
  /** Since when deliveries fail, as Calendly writes it. */
  retryingSince: string | null;
  /** Whether one of our signing keys is the key of the subscription. */
  key: 'matches' | 'not_set' | 'differs';
  lastDelivery: Date | null;
  /** Bookings since then that only a poll brought. */
  missed: number;
}

interface SubscribedAccount extends Account {
  subscriptionUri: string;
}

/** Inspects all accounts. Calendly is asked only if one of them has a subscription. Needs migration 022. */
export async function inspectWebhooks(options: InspectOptions): Promise<WebhookState> {
  const { database, client, token, signingKeys } = options;
  const fingerprint = token === null ? null : fingerprintOf(token);
  const { accounts, viewer, failed, waiting, rejections } = await database.transaction(
    async (sql) => ({
      accounts: (await listAccounts(sql)).filter(isSubscribed),
      viewer: fingerprint === null ? null : await findAccountBy(sql, 'token_fingerprint', fingerprint),
      failed: await countFailed(sql),
      waiting: await readWaiting(sql),
      rejections: await readRejections(sql, 24),
    }),
    { readOnly: true },
  );
  const [first] = accounts;
  if (!first) return { listed: [], own: [], error: null, failed, waiting, rejections };
  const accountId = viewer?.id ?? first.id;
  const { listed, found, error } = client
    ? await askCalendly({ database, client, accountId }, accounts)
    : { listed: [], found: new Map<string, Found>(), error: null };
  const own = await database.transaction(
    async (sql) => {
      const inspected: OwnSubscription[] = [];
      for (const { subscriptionUri, userId, email, subscriptionUrl: url, ...account } of accounts) {
        const one = found.get(subscriptionUri);
        const subscription = one === 'forbidden' ? null : one;
        const created = canonicalTimestamp(listed.find(({ uri }) => uri === subscriptionUri)?.created_at);
        const { last, missed } = await readWebhookTraffic(sql, userId, created);
        inspected.push({
          email,
          url,
          state: one === undefined ? null : one === 'forbidden' ? one : stateOf(one),
          retryingSince: subscription?.retry_started_at ?? null,
          key: compareKeys(account.keyFingerprint, signingKeys),
          lastDelivery: last,
          missed,
        });
      }
      return inspected;
    },
    { readOnly: true },
  );
  return { listed, own, error, failed, waiting, rejections };
}

/** What Calendly's answer about a subscription means; null is its 404. */
export function stateOf(found: Subscription | null): 'active' | 'disabled' | 'gone' {
  if (found === null) return 'gone';
  return found.state === 'active' ? 'active' : 'disabled';
}

type Found = Subscription | 'forbidden' | null;

/** Looks each account's subscription up, in the listing if it is there. A failure keeps what was found before it. */
async function askCalendly(viewer: SubscriberOptions, accounts: SubscribedAccount[]) {
  const { subscriptions } = viewer.client;
  const found = new Map<string, Found>();
  let listed: ListedSubscription[] = [];
  try {
    listed = await listSubscriptions(viewer);
    for (const { subscriptionUri: uri } of accounts) {
      const known = listed.find((one) => one.uri === uri);
      found.set(uri, known ?? (await unlessForbidden(subscriptions.get(uri), 'forbidden' as const)));
    }
    return { listed, found, error: null };
  } catch (error) {
    return { listed, found, error: toCalendlySyncError(error) };
  }
}

function compareKeys(fingerprint: string | null, keys: readonly string[]): OwnSubscription['key'] {
  if (fingerprint === null || keys.some((key) => keyFingerprint(key) === fingerprint)) return 'matches';
  return keys.length === 0 ? 'not_set' : 'differs';
}

function isSubscribed(account: Account): account is SubscribedAccount {
  return account.subscriptionUri !== null;
}
