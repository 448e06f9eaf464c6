/**
 * Makes our subscription anew when Calendly has disabled or lost it, and has the next sync list everything again: Calendly never
 * repeats what it did not deliver. Asks nothing where there is no subscription of ours.
 */

import { fingerprintOf } from '../../accounts/resolve.js';
import type { CalendlyClient } from '../../calendly/client.js';
import { keyFingerprint } from '../../calendly/signature.js';
import type { Database } from '../../database/connection.js';
import { persistentTransaction } from '../../database/retry.js';
import { type Account, findAccountBy, requestFullListing } from '../../database/tables/accounts.js';
import { subscribe, webhookAccount } from './subscribe.js';

export interface RepairOptions {
  database: Database;
  client: CalendlyClient;
  token: string;
  signingKeys: readonly string[];
  /** Only looks. */
  lookOnly?: boolean;
}

/** How our subscription was found, and what was done. */
export interface Repair {
  uri: string;
  state: 'active' | 'disabled' | 'gone';
  retrying_since: string | null;
  /** URI of the new one; null when none was needed or wanted. */
  renewed: string | null;
  /** Why it was not made anew although it had to be. */
  problem: 'no_key' | 'other_key' | null;
}

/** Looks after the subscription of a token's account; null when it has none. */
export async function repairSubscription(options: RepairOptions): Promise<Repair | null> {
  const { database, client, token } = options;
  const known = await database.transaction(
    (sql) => findAccountBy(sql, 'token_fingerprint', fingerprintOf(token)),
    {
      readOnly: true,
    },
  );
  if (known === null) return null;
  const subscriber = { database, client, accountId: known.id };
  const account = await webhookAccount(subscriber);
  const { subscriptionUri: uri, subscriptionUrl: url } = account;
  if (uri === null || url === null) return null;
  const found = await client.subscriptions.get(uri);
  const state = found === null ? 'gone' : found.state === 'active' ? 'active' : 'disabled';
  const look = {
    uri,
    state,
    retrying_since: found?.retry_started_at ?? null,
    renewed: null,
    problem: null,
  } as const;
  if (state === 'active' || options.lookOnly) return look;
  const signingKey = keyFor(account, options.signingKeys);
  if (signingKey === null)
    return { ...look, problem: options.signingKeys.length === 0 ? 'no_key' : 'other_key' };
  const scope = account.subscriptionScope === 'organization' ? 'organization' : 'user';
  const { subscription } = await subscribe(subscriber, { url, scope, signingKey });
  await persistentTransaction(database, (sql) => requestFullListing(sql, account.id));
  return { ...look, renewed: subscription.uri };
}

/** The key that the receiver is known to have: the one that the subscription was made with. */
function keyFor({ keyFingerprint: wanted }: Account, keys: readonly string[]): string | null {
  return keys.find((key) => keyFingerprint(key) === wanted) ?? null;
}
