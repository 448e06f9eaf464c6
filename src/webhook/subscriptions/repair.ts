/**
 * Recreates our subscription when Calendly has disabled or lost it. Calendly never resends what it could not deliver,
 * so the next sync then lists the full window. Sends no request for an account without a subscription.
 */
import { fingerprintOf } from '../../accounts/resolve.js';
import type { CalendlyClient } from '../../calendly/client.js';
import { keyFingerprint } from '../../calendly/signature.js';
import type { Database } from '../../database/connection.js';
import { persistentTransaction } from '../../database/retry.js';
import { type Account, findAccountBy, requestFullListing } from '../../database/tables/accounts.js';
import { stateOf } from './inspect.js';
import { subscribe } from './subscribe.js';

export interface RepairOptions {
  database: Database;
  /** The client of `token`. */
  client: CalendlyClient;
  token: string;
  /** The token's account, if the caller knows it. */
  account?: Account | undefined;
  /** The keys that the receiver accepts; the subscription is recreated with the one it had. */
  signingKeys: readonly string[];
}

/** The state in which the subscription was found, and what was done. */
export interface Repair {
  uri: string;
  state: 'active' | 'disabled' | 'gone';
  retrying_since: string | null;
  /** URI of the new subscription; null if none was needed or possible. */
  renewed: string | null;
  /** Why it could not be recreated. */
  problem: 'no_key' | 'other_key' | null;
}

/**
 * Repairs the subscription of the token's account. Needs migration 022.
 * @returns null if the account has no subscription
 * @throws CalendlySyncError when Calendly or the database cannot be reached or refuses the change
 */
export async function repairSubscription(options: RepairOptions): Promise<Repair | null> {
  const { database, client, token, signingKeys } = options;
  const fingerprint = fingerprintOf(token);
  const account =
    options.account ??
    (await database.transaction((sql) => findAccountBy(sql, 'token_fingerprint', fingerprint), {
      readOnly: true,
    }));
  if (!account?.subscriptionUri || !account.subscriptionUrl) return null;
  const { id: accountId, subscriptionUri: uri, subscriptionUrl: url } = account;
  const found = await client.subscriptions.get(uri);
  const state = stateOf(found);
  const retrying_since = found?.retry_started_at ?? null;
  const repair = { uri, state, retrying_since, renewed: null, problem: null };
  if (state === 'active') return repair;
  const signingKey = signingKeys.find((key) => keyFingerprint(key) === account.keyFingerprint);
  if (signingKey === undefined) {
    return { ...repair, problem: signingKeys.length === 0 ? 'no_key' : 'other_key' };
  }
  const scope = account.subscriptionScope === 'organization' ? 'organization' : 'user';
  const { subscription } = await subscribe({ database, client, accountId }, { url, scope, signingKey });
  await persistentTransaction(database, (sql) => requestFullListing(sql, accountId));
  return { ...repair, renewed: subscription.uri };
}
