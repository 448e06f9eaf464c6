/**
 * The public functions `sync` and `requestFullSync`: find the account, take its lease, plan, run, and return
 * the result. What a run does is in account-run.ts.
 */

import { claimAccount } from '../accounts/lease.js';
import { type ResolvedAccount, resolveAccount } from '../accounts/resolve.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { requestFullSyncs } from '../database/tables/account-states.js';
import { forgetReadings } from '../database/tables/calendly-events.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError } from '../errors.js';
import { maintainWebhooks } from '../webhook/subscriptions/maintain.js';
import type { Repair } from '../webhook/subscriptions/repair.js';
import { type AccountContext, syncAccountOnce } from './one-account.js';
import { clientOf, meetingOf, requireToken, type SyncOptions, type SyncResult } from './options.js';
import { guarded, sumCounts, type UserResult } from './report.js';
import { readStart } from './start.js';

export type { SyncOptions, SyncResult } from './options.js';

/**
 * Syncs every connected account, or the named ones.
 * @throws CalendlySyncError `settings` without a token, `usage`, `user_unknown`, `schema_not_ready`,
 * `database_unreachable`
 */
export async function sync(options: SyncOptions): Promise<SyncResult> {
  const event = meetingOf(options);
  const token = requireToken(options.config);
  const { database, repair = true, signal = new AbortController().signal } = options;
  const { hasSyncState, known, hasPending } = await readStart(database, token, options.users ?? []);
  const needsMaintenance = hasSyncState && (known === null || known.subscriptionUri !== null || hasPending);
  const onEvent = guarded(options.onEvent);
  const controller = new AbortController();
  const runSignal = AbortSignal.any([signal, controller.signal]);
  const client = clientOf({ ...options, onEvent }, token, runSignal);
  const context: AccountContext = {
    options,
    hasSyncState,
    event,
    stopSignal: signal,
    signal: runSignal,
    abort: (error) => controller.abort(error),
    onEvent,
  };
  const run = async () => [
    await syncAccountOnce(context, async (found) => {
      found.client = client;
      const write = !options.dryRun;
      const resolved = await resolveAccount(database, client, token, {
        known,
        named: options.users ?? [],
        write,
      });
      found.resolved = resolved;
      return { client, token, resolved, claim: write ? await claimFor(context, resolved) : null };
    }),
  ];
  if (options.dryRun || !needsMaintenance || event !== null || options.only)
    return resultOf(await run(), null);
  const signingKeys = options.config.webhookSigningKeys ?? [];
  const webhooks = { database, client, token, signingKeys, signal, repair, onEvent };
  const { result, repair: repaired } = await maintainWebhooks(webhooks, run);
  return resultOf(result, repaired);
}

function resultOf(users: UserResult[], webhook: Repair | null): SyncResult {
  return { users, totals: sumCounts(users), ...(webhook ? { webhook } : {}) };
}

/**
 * Makes the next sync of the named accounts a full one, without running it.
 * @returns the users concerned
 * @throws CalendlySyncError `settings` without a token, `schema_not_ready` if migration 022 is not applied
 */
export async function requestFullSync(
  options: SyncOptions,
): Promise<{ user_id: UserId; email: string | null }[]> {
  const { database, users = [] } = options;
  const token = requireToken(options.config);
  const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
  const { userId, email } = await resolveAccount(database, clientOf(options, token), token, {
    named: users,
    write: true,
  });
  if (userId === null) return [];
  if (!hasSyncState) {
    throw new CalendlySyncError(
      'schema_not_ready',
      'Migration 022 is not applied: no full sync can be requested, and every sync is a full one.',
      { hint: 'Run: calendly-sync migrate' },
    );
  }
  await persistentTransaction(database, async (sql) => {
    await requestFullSyncs(sql, [userId]);
    if (options.reread) await forgetReadings(sql, userId);
  });
  return [{ user_id: userIdForJson(userId), email }];
}

async function claimFor({ options, hasSyncState, abort }: AccountContext, { account }: ResolvedAccount) {
  if (account === null) throw new Error('an account is created before it is claimed');
  const { database } = options;
  const { id, userId } = account;
  if (options.full || options.reread) {
    // Before the lease is taken: if another run holds it, the next sync does this.
    await persistentTransaction(database, async (sql) => {
      if (options.full && hasSyncState) await requestFullSyncs(sql, [userId]);
      if (options.reread) await forgetReadings(sql, userId);
    });
  }
  return claimAccount(database, id, hasSyncState, abort);
}
