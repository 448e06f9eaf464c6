/** The public functions: `sync` and `forceFull`. They find the accounts, hold their leases, run them, and answer a result each. */

import { claimAccount } from '../accounts/lease.js';
import { fingerprintOf, type ResolvedAccount, resolveAccount } from '../accounts/resolve.js';
import { type CalendlyClient, type ClientOptions, createCalendlyClient } from '../calendly/client.js';
import { systemClock } from '../clock.js';
import type { Config } from '../config.js';
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
import { type Counts, type OnSyncEvent, sumCounts, type UserResult, zeroCounts } from './report.js';

export interface SyncOptions {
  config: Pick<Config, 'calendlyToken' | 'calendlyApiUrl'> & Partial<Pick<Config, 'webhookSigningKeys'>>;
  database: Database;
  signal: AbortSignal;
  onEvent: OnSyncEvent;
  /** `users.id` or e-mail of those to sync; empty: every account. */
  users?: string[];
  /** Says what would change and writes nothing. */
  dryRun?: boolean;
  /** Most requests under way at once, for each account. */
  concurrency?: number | undefined;
  /** A window of start times by hand, in ms since 1970. */
  since?: number | undefined;
  until?: number | undefined;
  /** What time it is, in ms since 1970. */
  now?: () => number;
  /** Forgets first that the initial sync was done. */
  full?: boolean | undefined;
  /** False leaves a disabled webhook subscription as it is. */
  repair?: boolean | undefined;
  fetch?: typeof fetch;
  /** Other pauses and limits than the client's own, in ms. */
  timing?: Pick<ClientOptions, 'timeoutMs' | 'retryPauseMs'>;
}

/** What a sync answers. It never throws for what happened to one account: that is in the account's result. */
export interface SyncResult {
  users: UserResult[];
  totals: Counts;
  /** Our webhook subscription before the sync, and its repair; absent if there is none, or it was not checked. */
  webhook?: Repair;
}

/**
 * Syncs every connected account, or the named ones.
 * @throws CalendlySyncError `settings` without any token, `schema_not_ready`, `database_unreachable`
 */
export async function sync(options: SyncOptions): Promise<SyncResult> {
  const token = requireToken(options.config);
  const { hasSyncState } = await options.database.transaction(requireSchema, { readOnly: true });
  const run = async () => [await syncToken(options, token, hasSyncState)];
  if (options.dryRun || !hasSyncState) return resultOf(await run(), null);
  const { database, signal, onEvent, repair = true } = options;
  const signingKeys = options.config.webhookSigningKeys ?? [];
  const client = clientOf(options, token);
  const webhooks = { database, client, token, signingKeys, signal, repair, onEvent };
  const { result, repair: repaired } = await maintainWebhooks(webhooks, run);
  return resultOf(result, repaired);
}

function resultOf(users: UserResult[], webhook: Repair | null): SyncResult {
  return { users, totals: sumCounts(users), ...(webhook ? { webhook } : {}) };
}

/** Makes the next sync of accounts a full one, without running it. Answers the users that it did so for. */
export async function requestFullSync(
  options: SyncOptions,
): Promise<{ user_id: UserId; email: string | null }[]> {
  const token = requireToken(options.config);
  const { hasSyncState } = await options.database.transaction(requireSchema, { readOnly: true });
  const { userId, email } = await resolveAccount(
    options.database,
    clientOf(options, token),
    token,
    options.users ?? [],
    true,
  );
  if (userId === null) return [];
  if (!hasSyncState) {
    throw new CalendlySyncError(
      'schema_not_ready',
      'Migration 022 is not applied: there is no mark to set, every sync is a full one.',
      {
        hint: 'Run: calendly-sync migrate',
      },
    );
  }
  await markUsers(options.database, [userId]);
  return [{ user_id: userIdForJson(userId), email }];
}

function markUsers(database: Database, userIds: string[]): Promise<void> {
  return persistentTransaction(database, (sql) => clearInitialSync(sql, userIds));
}

async function syncToken(options: SyncOptions, token: string, hasSyncState: boolean): Promise<UserResult> {
  const { now = systemClock.now, database, signal, onEvent } = options;
  const started = now();
  const halt = new AbortController();
  const runSignal = AbortSignal.any([signal, halt.signal]);
  const client = clientOf({ ...options, signal: runSignal }, token);
  let identified: ResolvedAccount | null = null;
  let plan: Plan | null = null;
  let counts = zeroCounts();
  let error: CalendlySyncError | null = null;
  try {
    identified = await resolveAccount(database, client, token, options.users ?? [], !options.dryRun);
    const { account, userId, email } = identified;
    if (options.dryRun || account === null) {
      plan = await planFor(options, identified, hasSyncState);
      onEvent({ type: 'planned', email, plan });
      counts = await dryRun({
        database,
        client,
        userId,
        calendlyUri: identified.calendlyUri,
        plan,
        signal,
        onEvent,
        email,
      });
    } else {
      // Before the lease: when another run holds it, the mark stays and the next sync is a full one.
      if (options.full && hasSyncState) await markUsers(database, [account.userId]);
      const lease = await claimAccount(database, account.id);
      try {
        // Read again under the lease: a run that ended just now may have changed what is to be done.
        const fresh = await database.transaction(
          (sql) => findAccountBy(sql, 'token_fingerprint', fingerprintOf(token)),
          {
            readOnly: true,
          },
        );
        identified = { ...identified, account: fresh ?? account };
        plan = await planFor(options, identified, hasSyncState);
        onEvent({ type: 'planned', email, plan });
        const signals = [runSignal, lease.lost];
        const result = await runAccount({
          database,
          client,
          account: identified.account ?? account,
          lease,
          plan,
          hasSyncState,
          signal: AbortSignal.any(signals),
          stopSignal: signal,
          halt: (reason) => halt.abort(reason),
          onEvent,
        });
        counts = result.counts;
        error = result.error;
      } finally {
        lease.stop();
      }
    }
  } catch (thrown) {
    error = signal.aborted ? stoppedEarly(thrown) : toCalendlySyncError(thrown);
    // What stands for all accounts, and for the command itself, is not one account's failure.
    if (/^(usage|settings|user_unknown|database_.*)$/.test(error.code)) throw error;
  }
  const { requests, retries, rateLimitWaitMs } = client.counters();
  Object.assign(counts, { requests, retries, rate_limit_wait_ms: rateLimitWaitMs });
  const result: UserResult = {
    user_id: identified?.userId == null ? null : userIdForJson(identified.userId),
    email: identified?.email ?? null,
    mode: plan?.mode ?? 'full',
    status: error === null ? 'complete' : error.code === 'locked' && plan === null ? 'skipped' : 'failed',
    window: plan && {
      from: new Date(plan.window.from).toISOString(),
      to: new Date(plan.window.to).toISOString(),
    },
    ...counts,
    duration_ms: now() - started,
    error: error?.toReport() ?? null,
  };
  onEvent({ type: 'finished', email: result.email, result });
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
    byHand: { since, until },
  });
}

/** The Calendly client of a token, its requests reported. */
export function clientOf(options: SyncOptions, token: string): CalendlyClient {
  return createCalendlyClient({
    baseUrl: options.config.calendlyApiUrl,
    token,
    signal: options.signal,
    concurrency: options.concurrency,
    onAttempt: (attempt) => options.onEvent({ type: 'attempt', attempt }),
    ...(options.fetch ? { fetch: options.fetch } : {}),
    ...options.timing,
  });
}

/** The token that is set. */
export function requireToken({ calendlyToken }: SyncOptions['config']): string {
  if (calendlyToken !== null) return calendlyToken;
  throw new CalendlySyncError('settings', 'CALENDLY_TOKEN is not set.', {
    hint: 'Make a personal access token at https://calendly.com/integrations/api_webhooks and put CALENDLY_TOKEN=… into .env or the environment.\nWithout one: calendly-sync demo',
  });
}

function stoppedEarly(cause: unknown): CalendlySyncError {
  return new CalendlySyncError('stopped', 'Stopped before the end.', {
    hint: 'The next sync goes on from there.',
    cause,
  });
}
