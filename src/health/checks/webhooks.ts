/**
 * What is wrong with webhooks: Calendly tells nobody when it gives up on a receiver, so that all signs are looked for here. Reads
 * the database, and asks Calendly where it is given a client. Shows nothing.
 */

import { fingerprintOf } from '../../accounts/resolve.js';
import type { CalendlyClient } from '../../calendly/client.js';
import { keyFingerprint } from '../../calendly/signature.js';
import type { Subscription } from '../../calendly/subscriptions.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { countOf } from '../../counting.js';
import type { Database } from '../../database/connection.js';
import { requireSchema } from '../../database/schema.js';
import { type Account, findAccountBy, listAccounts } from '../../database/tables/accounts.js';
import { countWaiting, readWebhookTraffic } from '../../database/tables/webhook-events.js';
import { readRejections } from '../../database/tables/webhook-rejections.js';
import { CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { type ListedSubscription, listSubscriptions } from '../../webhook/subscriptions/subscribe.js';
import { type Problem, quoted } from '../status.js';

export interface WatchOptions {
  database: Database;
  /** Null asks the database only. */
  client: CalendlyClient | null;
  /** The client's token: what it may see depends on whose it is. */
  token: string | null;
  signingKeys: readonly string[];
}

export interface WebhookCheck {
  subscriptions: ListedSubscription[];
  problems: Problem[];
}

const SIGNATURE_REASONS = new Set(['no_signature', 'malformed_signature', 'wrong_signature', 'expired']);
const RENEW = 'calendly-sync webhook subscribe --url';

/** Looks at everything that webhooks leave behind. Without migration 022 there is nothing to see. */
export async function checkWebhooks(options: WatchOptions): Promise<WebhookCheck> {
  const { database, client, token } = options;
  const seen = await database.transaction(
    async (sql) => {
      if (!(await requireSchema(sql)).hasSyncState) return null;
      return {
        accounts: await listAccounts(sql),
        own: token === null ? null : await findAccountBy(sql, 'token_fingerprint', fingerprintOf(token)),
        waiting: await countWaiting(sql),
        rejections: await readRejections(sql, 24),
      };
    },
    { readOnly: true },
  );
  if (seen === null) return { subscriptions: [], problems: [] };
  const problems: Problem[] = [];
  if (seen.waiting.failed > 0) {
    problems.push({
      code: 'webhooks_unapplied',
      message: `${countOf(seen.waiting.failed, 'webhook event')} could not be applied: ${seen.waiting.error ?? ''}`,
      hint: 'calendly-sync webhook replay',
    });
  }
  problems.push(...signatureProblems(seen.rejections));
  const subscribed = seen.accounts.filter(({ subscriptionUri }) => subscriptionUri !== null);
  problems.push(...subscribed.flatMap((account) => keyProblems(account, options.signingKeys)));
  const [first] = subscribed;
  if (!first) return { subscriptions: [], problems };
  let subscriptions: ListedSubscription[] = [];
  if (client) {
    try {
      const accountId = seen.own?.id ?? first.id;
      subscriptions = await listSubscriptions({ database, client, accountId });
      for (const account of subscribed)
        problems.push(...(await stateProblems(account, subscriptions, client)));
    } catch (thrown) {
      const { message, hint } = toCalendlySyncError(thrown);
      problems.push({
        code: 'webhook_state_unknown',
        message: `Calendly could not be asked about the webhook subscription: ${message}`,
        hint: hint ?? 'calendly-sync webhook list',
      });
    }
  }
  for (const account of subscribed)
    problems.push(...(await silenceProblems(database, account, subscriptions)));
  return { subscriptions, problems };
}

function signatureProblems(rejections: { reason: string; count: number }[]): Problem[] {
  const refused = rejections.filter(({ reason }) => SIGNATURE_REASONS.has(reason));
  const total = refused.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return [];
  const reasons = refused.map(({ reason, count }) => `${count} ${reason.replaceAll('_', ' ')}`).join(', ');
  return [
    {
      code: 'webhook_signatures_rejected',
      message: `${countOf(total, 'webhook request')} refused for the signature in the last day (${reasons})`,
      hint: `Set CALENDLY_WEBHOOK_SIGNING_KEY to the subscription's key and restart the receiver, or make a new one: ${RENEW} U`,
    },
  ];
}

function keyProblems(
  { keyFingerprint: made, email, subscriptionUrl: url }: Account,
  keys: readonly string[],
): Problem[] {
  if (made === null || keys.some((key) => keyFingerprint(key) === made)) return [];
  const subscription = `the webhook subscription of ${email ?? 'this account'}`;
  const message =
    keys.length === 0
      ? `CALENDLY_WEBHOOK_SIGNING_KEY is not set here, and ${subscription} was made with a key`
      : `CALENDLY_WEBHOOK_SIGNING_KEY is another key than the one that ${subscription} was made with`;
  return [
    {
      code: 'webhook_key_differs',
      message,
      hint: `Set the key that was shown then, or make a new subscription: ${RENEW} ${url === null ? 'U' : quoted(url)}`,
    },
  ];
}

async function stateProblems(
  { subscriptionUri, subscriptionUrl: url }: Account,
  listed: ListedSubscription[],
  client: CalendlyClient,
): Promise<Problem[]> {
  if (subscriptionUri === null) return [];
  const one = listed.find(({ uri }) => uri === subscriptionUri) ?? (await unlisted(subscriptionUri, client));
  if (one === 'not ours to see') return [];
  if (one?.state !== 'active') {
    return [
      {
        code: 'webhook_disabled',
        message: one
          ? `Calendly has disabled the webhook subscription for ${url}: deliveries failed for a day`
          : `Calendly does not have the webhook subscription for ${url} any more`,
        hint: 'calendly-sync sync (makes it anew and sweeps what was missed)',
      },
    ];
  }
  if (one.retry_started_at == null) return [];
  return [
    {
      code: 'webhook_retrying',
      message: `deliveries to ${url} fail since ${one.retry_started_at}; after a day Calendly disables the subscription`,
      hint: lookAt(url),
    },
  ];
}

/** What a listing does not show: another user's subscription, which only an owner or admin may see, or none at all. */
async function unlisted(
  uri: string,
  client: CalendlyClient,
): Promise<Subscription | null | 'not ours to see'> {
  try {
    return await client.subscriptions.get(uri);
  } catch (thrown) {
    if (thrown instanceof CalendlySyncError && thrown.code === 'calendly_forbidden') return 'not ours to see';
    throw thrown;
  }
}

/** How to see whether a receiver answers. */
function lookAt(url: string | null): string {
  // What follows a `?` tells subscriptions apart, and is nothing to the receiver.
  return `curl -i ${quoted(`${(url ?? 'U').replace(/[?#].*/, '')}/test`)}`;
}

/** Bookings that only the poll brought although a subscription was there. */
async function silenceProblems(
  database: Database,
  account: Account,
  subscriptions: ListedSubscription[],
): Promise<Problem[]> {
  const one = subscriptions.find(({ uri }) => uri === account.subscriptionUri);
  const since = canonicalTimestamp(one?.created_at);
  const { missed, last } = await database.transaction(
    (sql) => readWebhookTraffic(sql, account.userId, since),
    {
      readOnly: true,
    },
  );
  if (missed === 0) return [];
  const silence =
    last === null ? 'no webhook delivery ever came' : `no webhook delivery came since ${last.toISOString()}`;
  return [
    {
      code: 'webhook_silent',
      message: `${silence}, although ${countOf(missed, 'booking')} came by poll`,
      hint: lookAt(account.subscriptionUrl),
    },
  ];
}
