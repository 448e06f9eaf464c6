/**
 * One sync of one account, from its claim to its result: plan, run, report. The same for CALENDLY_TOKEN and for any
 * number of accounts. Knows no token store and does not choose accounts.
 */
import type { Claimed } from '../accounts/lease.js';
import { type ResolvedAccount, refreshAccount } from '../accounts/resolve.js';
import type { CalendlyClient } from '../calendly/client.js';
import { systemClock } from '../clock.js';
import type { Account } from '../database/tables/accounts.js';
import { databaseTime } from '../database/tables/calendly-events.js';
import type { RunEnd } from '../database/tables/sync-runs.js';
import { isInitialSyncComplete } from '../database/tables/users.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { outcomeOf, runAccount } from './account-run.js';
import type { SyncOptions } from './options.js';
import { listsWindow, type Plan, planRun } from './plan.js';
import {
  countRequests,
  createReporter,
  type OnSyncEvent,
  type Reporter,
  toUserResult,
  type UserResult,
} from './report.js';
import { dueResources } from './resources.js';
import { openRun, type RunAccount } from './run.js';

/** What the steps of one sync share. */
export interface AccountContext {
  options: SyncOptions;
  hasSyncState: boolean;
  /** URI of the one meeting to read. */
  event: string | null;
  /** The caller's. */
  stopSignal: AbortSignal;
  /** The caller's, or that of an error. */
  signal: AbortSignal;
  abort(error: unknown): void;
  onEvent: OnSyncEvent;
}

/** An account with all that its sync needs. */
export interface OpenedAccount {
  client: CalendlyClient;
  token: string;
  resolved: ResolvedAccount;
  /** Null in a dry run. */
  claim: Claimed | null;
  /** How often the account is synced after this run, in seconds, decided at its end; without it, as before. */
  everyS?: (report: Reporter) => Promise<number>;
}

/**
 * Runs one sync of an account.
 * @param open finds the account and claims it; what it has put into `found` is in the result even if it fails
 * @throws CalendlySyncError what concerns every account, or the command itself, but not one account
 */
export async function syncAccountOnce(
  context: AccountContext,
  open: (found: Partial<OpenedAccount>) => Promise<OpenedAccount>,
  isGeneral = (error: CalendlySyncError) => /^(usage|settings|user_unknown|database_.*)$/.test(error.code),
): Promise<UserResult> {
  const { options, stopSignal, onEvent } = context;
  const { now = systemClock.now, database, dryRun = false } = options;
  const started = now();
  const found: Partial<OpenedAccount> = {};
  let plan: Plan | null = null;
  let report = createReporter(null, onEvent);
  let error: CalendlySyncError | null = null;
  try {
    const { client, token, resolved, claim, everyS } = Object.assign(found, await open(found));
    report = createReporter(resolved.email, onEvent, claim?.claimed.previousRunAt);
    const lease = claim?.lease ?? null;
    const state = claim?.claimed ?? (await stateOf(context, resolved));
    const { userId } = resolved;
    const account: RunAccount = claim?.claimed.account ?? { ...resolved, id: resolved.account?.id ?? null };
    plan = planFor(context, resolved, state);
    if (listsWindow(plan)) onEvent({ type: 'planned', email: resolved.email, plan });
    const refresh =
      claim && plan.daily && !resolved.isConfirmed
        ? () => refreshAccount(client, token, claim.claimed.account, claim.lease.transaction)
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
      everyS,
      resources: dueResources(options, plan, claim?.claimed.account.lastFullListingAt ?? null),
    });
  } catch (cause) {
    error = stopSignal.aborted ? stoppedEarly(cause) : toCalendlySyncError(cause);
    if (isGeneral(error)) throw error;
    await found.claim?.lease.end(runThatFailed(error, found.claim.claimed.account.userId)).catch(() => {});
  } finally {
    await found.claim?.lease.release();
    report.end();
  }
  if (found.client) countRequests(report.counts, found.client);
  const { userId = null, email = null } = found.resolved ?? {};
  const result = toUserResult({ userId, email, plan, report, dryRun, durationMs: now() - started, error });
  onEvent({ type: 'finished', email, result });
  return result;
}

/** A run that ended before it had begun. */
function runThatFailed(error: CalendlySyncError, userId: string): RunEnd {
  return {
    outcome: outcomeOf(error),
    userId,
    mode: 'unknown',
    window: null,
    counts: {},
    requests: 0,
    retries: 0,
    rateLimitWaitMs: 0,
    error,
    always: true,
    everyS: null,
    listedAll: false,
    syncState: null,
  };
}

/** What a dry run knows of an account. */
async function stateOf({ options, hasSyncState }: AccountContext, { userId }: ResolvedAccount) {
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
  { options, event }: AccountContext,
  { account: resolved }: ResolvedAccount,
  state: { initialComplete: boolean | null; account?: Account },
): Plan {
  const { now = systemClock.now, since, until, only } = options;
  const account = state.account ?? resolved;
  return planRun({
    now: now(),
    initialComplete: state.initialComplete,
    lastFullListingAt: account?.lastFullListingAt?.getTime() ?? null,
    customWindow: { since, until },
    only: event !== null ? 'one_meeting' : only ? 'resources' : null,
    accountId: account?.id ?? null,
  });
}

function stoppedEarly(cause: unknown): CalendlySyncError {
  return new CalendlySyncError('stopped', 'Stopped before the end.', {
    hint: 'The next sync continues from there.',
    cause,
  });
}
