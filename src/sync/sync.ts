/**
 * The public functions `sync` and `requestFullSync`: find the account, take its lease, plan, run, and return
 * the result. What a run does is in account-run.ts.
 */

import { claimAccount, type Lease } from '../accounts/lease.js';
import { type ResolvedAccount, refreshAccount, resolveAccount } from '../accounts/resolve.js';
import type { CalendlyClient } from '../calendly/client.js';
import { systemClock } from '../clock.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import type { Account } from '../database/tables/accounts.js';
import { databaseTime, forgetReadings } from '../database/tables/calendly-events.js';
import { clearInitialSync, isInitialSyncComplete } from '../database/tables/users.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { maintainWebhooks } from '../webhook/subscriptions/maintain.js';
import type { Repair } from '../webhook/subscriptions/repair.js';
import { runAccount } from './account-run.js';
import { clientOf, meetingOf, requireToken, type SyncOptions, type SyncResult } from './options.js';
import { type Plan, planRun } from './plan.js';
import {
  countRequests,
  createReporter,
  guarded,
  type OnSyncEvent,
  sumCounts,
  toUserResult,
  type UserResult,
} from './report.js';
import { openRun, type RunAccount } from './run.js';
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
  const context: SyncContext = {
    options,
    token,
    known,
    hasSyncState,
    event,
    stopSignal: signal,
    signal: AbortSignal.any([signal, controller.signal]),
    abort: (error) => controller.abort(error),
    onEvent,
    client: clientOf({ ...options, onEvent }, token, AbortSignal.any([signal, controller.signal])),
  };
  const run = async () => [await syncToken(context)];
  if (options.dryRun || !needsMaintenance || event !== null) return resultOf(await run(), null);
  const signingKeys = options.config.webhookSigningKeys ?? [];
  const webhooks = { database, client: context.client, token, signingKeys, signal, repair, onEvent };
  const { result, repair: repaired } = await maintainWebhooks(webhooks, run);
  return resultOf(result, repaired);
}

/** One call of `sync`: its options, checked, and what all its steps share. */
interface SyncContext {
  options: SyncOptions;
  token: string;
  /** The account that the token was last confirmed to belong to. */
  known: Account | null;
  hasSyncState: boolean;
  event: string | null;
  /** The caller's. */
  stopSignal: AbortSignal;
  /** The caller's, or that of an error. */
  signal: AbortSignal;
  abort(error: unknown): void;
  onEvent: OnSyncEvent;
  /** The one client of the call: all its requests are counted, and share one rate limit. */
  client: CalendlyClient;
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
    await clearInitialSync(sql, [userId]);
    if (options.reread) await forgetReadings(sql, userId);
  });
  return [{ user_id: userIdForJson(userId), email }];
}

async function syncToken(context: SyncContext): Promise<UserResult> {
  const { options, stopSignal, client, onEvent } = context;
  const { now = systemClock.now, database, dryRun = false } = options;
  const started = now();
  let resolved: ResolvedAccount | null = null;
  let plan: Plan | null = null;
  let report = createReporter(null, onEvent);
  let error: CalendlySyncError | null = null;
  let lease: Lease | null = null;
  try {
    resolved = await resolveAccount(database, client, context.token, {
      known: context.known,
      named: options.users ?? [],
      write: !dryRun,
    });
    report = createReporter(resolved.email, onEvent);
    const claim = dryRun ? null : await claimFor(context, resolved);
    lease = claim?.lease ?? null;
    const state = claim?.claimed ?? (await stateOf(context, resolved));
    const { userId } = resolved;
    const account: RunAccount = claim?.claimed.account ?? { ...resolved, id: resolved.account?.id ?? null };
    plan = planFor(context, resolved, state);
    if (plan.reason !== 'one_meeting') onEvent({ type: 'planned', email: resolved.email, plan });
    const refresh =
      claim && plan.daily && !resolved.isConfirmed
        ? () => refreshAccount(client, context.token, claim.claimed.account, claim.lease.transaction)
        : null;
    const { signal, abort, event, hasSyncState } = context;
    const { concurrency } = options;
    const parts = { database, client, account, userId, plan, lease, report, signal, abort, concurrency, now };
    const run = openRun(parts, state.now);
    error = await runAccount(run, {
      event,
      refresh,
      leftovers: state.pending,
      hasDue: state.hasDue,
      hasSyncState,
      stopSignal,
    });
  } catch (cause) {
    error = stopSignal.aborted ? stoppedEarly(cause) : toCalendlySyncError(cause);
    // These concern every account, or the command itself, not one account.
    if (/^(usage|settings|user_unknown|database_.*)$/.test(error.code)) throw error;
  } finally {
    await lease?.release();
    report.end();
  }
  countRequests(report.counts, client);
  const { userId = null, email = null } = resolved ?? {};
  const result = toUserResult({ userId, email, plan, report, dryRun, durationMs: now() - started, error });
  onEvent({ type: 'finished', email, result });
  return result;
}

async function claimFor({ options, hasSyncState, abort }: SyncContext, { account }: ResolvedAccount) {
  if (account === null) throw new Error('an account is created before it is claimed');
  const { database } = options;
  const { id, userId } = account;
  if (options.full || options.reread) {
    // Before the lease is taken: if another run holds it, the next sync does this.
    await persistentTransaction(database, async (sql) => {
      if (options.full && hasSyncState) await clearInitialSync(sql, [userId]);
      if (options.reread) await forgetReadings(sql, userId);
    });
  }
  return claimAccount(database, id, hasSyncState, abort);
}

/** What a dry run knows of an account. */
async function stateOf({ options, hasSyncState }: SyncContext, { userId }: ResolvedAccount) {
  return options.database.transaction(
    async (sql) => ({
      initialComplete: hasSyncState ? userId !== null && (await isInitialSyncComplete(sql, userId)) : null,
      pending: 0,
      hasDue: true,
      now: await databaseTime(sql),
    }),
    { readOnly: true },
  );
}

function planFor(
  { options, event }: SyncContext,
  { account: resolved }: ResolvedAccount,
  state: { initialComplete: boolean | null; account?: Account },
): Plan {
  const { now = systemClock.now, since, until } = options;
  const account = state.account ?? resolved;
  return planRun({
    now: now(),
    initialComplete: state.initialComplete,
    lastFullListingAt: account?.lastFullListingAt?.getTime() ?? null,
    customWindow: { since, until },
    oneMeeting: event !== null,
    accountId: account?.id ?? null,
  });
}

function stoppedEarly(cause: unknown): CalendlySyncError {
  return new CalendlySyncError('stopped', 'Stopped before the end.', {
    hint: 'The next sync continues from there.',
    cause,
  });
}
