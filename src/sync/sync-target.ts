/**
 * Syncs one of many accounts: its token, its client, the look at its webhook subscription, its run, and how soon it is
 * due again. Knows no other account.
 */
import { holdLease } from '../accounts/lease.js';
import type { TokenSource } from '../accounts/token-source.js';
import { keyFingerprint } from '../calendly/signature.js';
import { distrustReceiver } from '../database/tables/account-states.js';
import type { Account } from '../database/tables/accounts.js';
import type { Claim } from '../database/tables/leases.js';
import type { StoredTokens } from '../database/tables/tokens.js';
import { hasUnappliedEvents } from '../database/tables/webhook-events.js';
import type { CalendlySyncError } from '../errors.js';
import { tryRepair } from '../webhook/subscriptions/maintain.js';
import type { Repair } from '../webhook/subscriptions/repair.js';
import { type AccountContext, syncAccountOnce } from './one-account.js';
import { clientOf, meetingOf, type SyncOptions } from './options.js';
import type { OnSyncEvent, Reporter, UserResult } from './report.js';

/** An account to sync; without a claim, in a dry run. */
export interface Target {
  account: Account;
  tokens: StoredTokens | null;
  claim: Claim | null;
}

export interface TargetOptions {
  options: SyncOptions;
  hasSyncState: boolean;
  source: TokenSource;
  stop: AbortSignal;
  emit: OnSyncEvent;
  /** How often a service syncs an account, and at most while its webhooks prove to work, in ms; null: a pass. */
  rhythm: { everyMs: number; maxEveryMs: number } | null;
}

/** These end a pass; a service waits. Anything else concerns one account. */
const isGeneral = ({ code }: CalendlySyncError) =>
  code === 'database_unreachable' || code === 'database_refused';

/** Creates the function that syncs one account. It throws only what concerns all of them. */
export function createTargetSync(shared: TargetOptions): (target: Target) => Promise<UserResult> {
  const { options, hasSyncState, source, stop, emit, rhythm } = shared;
  const { database } = options;
  const event = meetingOf(options);
  // One listener for all of them.
  const running = new Set<AbortController>();
  stop.addEventListener('abort', () => {
    for (const controller of running) controller.abort(stop.reason);
  });

  return async (target) => {
    const { account, claim } = target;
    const { id: accountId, calendlyUri, userId, email } = account;
    const controller = new AbortController();
    const { signal } = controller;
    running.add(controller);
    if (stop.aborted) controller.abort(stop.reason);
    const abort = (error: unknown) => controller.abort(error);
    const context: AccountContext = {
      options,
      hasSyncState,
      event,
      stopSignal: stop,
      signal,
      abort,
      onEvent: emit,
    };
    const open: Parameters<typeof syncAccountOnce>[1] = async (found) => {
      found.resolved = { account, calendlyUri, userId, email, isConfirmed: false };
      found.claim = claim && {
        lease: holdLease(database, { accountId, number: claim.number }, abort),
        claimed: claim,
      };
      const token = await source(target);
      const client = clientOf({ ...options, onEvent: emit }, token, signal, (refused) =>
        source(target, refused),
      );
      found.client = client;
      const repair = await lookAtSubscription(target, client, token, signal);
      const everyS = rhythm ? (report: Reporter) => nextEvery(target, repair, report, rhythm) : undefined;
      return { client, token, resolved: found.resolved, claim: found.claim, ...(everyS && { everyS }) };
    };
    try {
      return await syncAccountOnce(context, open, isGeneral);
    } finally {
      running.delete(controller);
    }
  };

  async function lookAtSubscription(
    { account, claim }: Target,
    client: ReturnType<typeof clientOf>,
    token: string,
    signal: AbortSignal,
  ): Promise<Repair | null> {
    const { repair: mayRepair = true, config, only } = options;
    if (!hasSyncState || !claim || !mayRepair || event !== null || only || account.subscriptionUri === null)
      return null;
    const signingKeys = config.webhookSigningKeys ?? [];
    const onEvent: Parameters<typeof tryRepair>[0]['onEvent'] = (one) =>
      emit({ ...one, email: account.email });
    const repair = await tryRepair({
      database,
      client,
      token,
      account,
      signingKeys,
      signal,
      repair: true,
      onEvent,
    });
    // The window that must be listed now.
    if (repair?.renewed) account.lastFullListingAt = null;
    return repair;
  }

  /**
   * The next distance, in seconds: twice the last one if this very run proves that webhooks work, and the shortest one
   * after any doubt.
   */
  async function nextEvery(
    { account, claim }: Target,
    repair: Repair | null,
    report: Reporter,
    { everyMs, maxEveryMs }: { everyMs: number; maxEveryMs: number },
  ): Promise<number> {
    const everyS = Math.ceil(everyMs / 1_000);
    const { subscriptionUrl: url, keyFingerprint: fingerprint, userId } = account;
    if (url !== null && report.missed > 0) await database.transaction((sql) => distrustReceiver(sql, url));
    const keys = options.config.webhookSigningKeys ?? [];
    const isProven =
      repair?.state === 'active' &&
      repair.retrying_since === null &&
      report.missed === 0 &&
      keys.some((key) => keyFingerprint(key) === fingerprint) &&
      !(await database.transaction((sql) => hasUnappliedEvents(sql, userId), { readOnly: true }));
    return isProven && claim ? Math.min(maxEveryMs / 1_000, 2 * Math.max(claim.everyS, everyS)) : everyS;
  }
}
