/**
 * The public functions `sync` and `requestFullSync`: find the account, take its lease, plan, run, and return
 * the result. What a run does is in account-run.ts.
 */

import { claimAccount } from '../accounts/lease.js';
import { fingerprintOf, type ResolvedAccount, resolveAccount } from '../accounts/resolve.js';
import { type CalendlyClient, type ClientOptions, createCalendlyClient } from '../calendly/client.js';
import type { HttpTransport } from '../calendly/transport.js';
import { systemClock } from '../clock.js';
import type { Config, ProxySetting } from '../config.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { findAccountBy } from '../database/tables/accounts.js';
import { clearInitialSync, isInitialSyncComplete } from '../database/tables/users.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { maintainWebhooks } from '../webhook/subscriptions/maintain.js';
import type { Repair } from '../webhook/subscriptions/repair.js';
import { runAccount } from './account-run.js';
import { dryRun } from './dry-run.js';
import { type Plan, planRun } from './plan.js';
import {
  type Counts,
  countRequests,
  fetchedEvent,
  type OnSyncEvent,
  sumCounts,
  toUserResult,
  type UserResult,
  zeroCounts,
} from './report.js';

export interface SyncOptions {
  config: Pick<Config, 'calendlyToken' | 'calendlyApiUrl'> &
    Partial<Pick<Config, 'webhookSigningKeys' | ProxySetting>>;
  database: Database;
  signal: AbortSignal;
  onEvent: OnSyncEvent;
  /** `users.id` or e-mail of the users to sync; empty: every account. */
  users?: string[];
  /** Only reports what would change; writes nothing. */
  dryRun?: boolean;
  /** Max requests in progress at a time, per account. */
  concurrency?: number | undefined;
  /** A custom window of start times, in ms since 1970. */
  since?: number | undefined;
  until?: number | undefined;
  /** Returns the current time in ms since 1970. */
  now?: () => number;
  /** Runs a full sync, even if the initial sync is complete. */
  full?: boolean | undefined;
  /** False leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
  /** Replaces the network, for tests. */
  transport?: HttpTransport | undefined;
  /** Overrides the client's timeout and retry pause, in ms. */
  timing?: Pick<ClientOptions, 'timeoutMs' | 'retryPauseMs'>;
}

/** The result of a sync. A failure of one account is in that account's result. */
export interface SyncResult {
  users: UserResult[];
  totals: Counts;
  /** Our webhook subscription before the sync, and its repair; absent if there is none, or it was not checked. */
  webhook?: Repair;
}

/**
 * Syncs every connected account, or the named ones.
 * @throws CalendlySyncError `settings` without a token, `user_unknown`, `schema_not_ready`, `database_unreachable`
 */
export async function sync(options: SyncOptions): Promise<SyncResult> {
  const token = requireToken(options.config);
  const { hasSyncState } = await options.database.transaction(requireSchema, { readOnly: true });
  const controller = new AbortController();
  const signal = AbortSignal.any([options.signal, controller.signal]);
  // One client per account and run: it counts every request, and paces them together.
  const client = clientOf({ ...options, signal }, token);
  const account = { token, client, signal, abort: (error: unknown) => controller.abort(error) };
  const run = async () => [await syncToken(options, account, hasSyncState)];
  if (options.dryRun || !hasSyncState) return resultOf(await run(), null);
  const { database, onEvent, repair = true } = options;
  const signingKeys = options.config.webhookSigningKeys ?? [];
  const webhooks = { database, client, token, signingKeys, signal: options.signal, repair, onEvent };
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
  const { userId, email } = await resolveAccount(database, clientOf(options, token), token, users, true);
  if (userId === null) return [];
  if (!hasSyncState) {
    throw new CalendlySyncError(
      'schema_not_ready',
      'Migration 022 is not applied: no full sync can be requested, and every sync is a full one.',
      { hint: 'Run: calendly-sync migrate' },
    );
  }
  await persistentTransaction(database, (sql) => clearInitialSync(sql, [userId]));
  return [{ user_id: userIdForJson(userId), email }];
}

interface AccountOfToken {
  token: string;
  client: CalendlyClient;
  /** Aborted by the caller, or by `abort`, with all requests of the client. */
  signal: AbortSignal;
  abort(error: unknown): void;
}

async function syncToken(
  options: SyncOptions,
  { token, client, signal, abort }: AccountOfToken,
  hasSyncState: boolean,
): Promise<UserResult> {
  const { now = systemClock.now, database, signal: stopSignal, onEvent, concurrency } = options;
  const started = now();
  let resolved: ResolvedAccount | null = null;
  let plan: Plan | null = null;
  const counts = zeroCounts();
  let error: CalendlySyncError | null = null;
  try {
    resolved = await resolveAccount(database, client, token, options.users ?? [], !options.dryRun);
    const { userId, calendlyUri, email } = resolved;
    let { account } = resolved;
    if (options.dryRun || account === null) {
      plan = await planFor(options, resolved, hasSyncState);
      onEvent({ type: 'planned', email, plan });
      const { window, mode } = plan;
      await dryRun({ database, client, userId, calendlyUri, email, window, signal, counts, onEvent });
      onEvent(fetchedEvent(email, mode, counts));
    } else {
      const user = account.userId;
      // Before the lease is taken: if another run holds it, the next sync is a full one.
      if (options.full && hasSyncState)
        await persistentTransaction(database, (sql) => clearInitialSync(sql, [user]));
      const lease = await claimAccount(database, account.id, abort);
      try {
        // Read again under the lease: a run that has just ended may have changed what this one must do.
        const fresh = await database.transaction(
          (sql) => findAccountBy(sql, 'token_fingerprint', fingerprintOf(token)),
          { readOnly: true },
        );
        account = fresh ?? account;
        plan = await planFor(options, { ...resolved, account }, hasSyncState);
        onEvent({ type: 'planned', email, plan });
        const run = { database, client, account, lease, plan, hasSyncState, counts, onEvent, concurrency };
        error = await runAccount({ ...run, signal, stopSignal, abort });
      } finally {
        lease.stop();
      }
    }
  } catch (cause) {
    error = stopSignal.aborted ? stoppedEarly(cause) : toCalendlySyncError(cause);
    // These concern every account, or the command itself, not one account.
    if (/^(usage|settings|user_unknown|database_.*)$/.test(error.code)) throw error;
  }
  countRequests(counts, client);
  const { userId = null, email = null } = resolved ?? {};
  const result = toUserResult({ userId, email, plan, counts, durationMs: now() - started, error });
  onEvent({ type: 'finished', email, result });
  return result;
}

async function planFor(
  options: SyncOptions,
  { account, userId }: ResolvedAccount,
  hasSyncState: boolean,
): Promise<Plan> {
  const { now = systemClock.now, database, since, until } = options;
  const complete =
    hasSyncState &&
    userId !== null &&
    (await database.transaction((sql) => isInitialSyncComplete(sql, userId), { readOnly: true }));
  return planRun({
    now: now(),
    initialComplete: hasSyncState ? complete : null,
    lastFullListingAt: account?.lastFullListingAt?.getTime() ?? null,
    customWindow: { since, until },
  });
}

/** Creates the Calendly client of a token; it reports each request as an event. */
export function clientOf(options: SyncOptions, token: string): CalendlyClient {
  return createCalendlyClient({
    baseUrl: options.config.calendlyApiUrl,
    token,
    proxies: options.config,
    signal: options.signal,
    concurrency: options.concurrency,
    transport: options.transport,
    onAttempt: (attempt) => options.onEvent({ type: 'attempt', attempt }),
    ...options.timing,
  });
}

/**
 * Returns the token that is set.
 * @throws CalendlySyncError `settings`
 */
export function requireToken({ calendlyToken }: SyncOptions['config']): string {
  if (calendlyToken !== null) return calendlyToken;
  throw new CalendlySyncError('settings', 'CALENDLY_TOKEN is not set.', {
    hint:
      'Create a personal access token at https://calendly.com/integrations/api_webhooks ' +
      'and put CALENDLY_TOKEN=… in .env or the environment.\nWithout one: calendly-sync demo',
  });
}

function stoppedEarly(cause: unknown): CalendlySyncError {
  return new CalendlySyncError('stopped', 'Stopped before the end.', {
    hint: 'The next sync continues from there.',
    cause,
  });
}
