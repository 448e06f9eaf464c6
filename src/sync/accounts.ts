/**
 * Syncs all connected accounts, or named ones: one pass, or as a service that stays. Any number of processes on any
 * number of machines may do so at once; the lease on each account decides who syncs it. Results are handed over one by
 * one, so that memory does not grow with the number of accounts.
 */
import { releaseDead } from '../accounts/lease.js';
import { findRequestedFullSyncs, findUnreached, keepWithin } from '../database/tables/account-states.js';
import { databaseTime } from '../database/tables/calendly-events.js';
import { hasPendingEvents } from '../database/tables/webhook-events.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { later } from '../resources/meetings/standing.js';
import { applyPending } from '../webhook/subscriptions/maintain.js';
import {
  type AccountsOptions,
  idsOf,
  provide,
  requestAgain,
  type Shared,
  share,
  takeNamed,
} from './accounts-setup.js';
import { createClaims } from './claims.js';
import { type Counts, guarded, sumCounts, type UserResult, zeroCounts } from './report.js';
import { runInSlots } from './slots.js';
import { createTargetSync, type Target } from './sync-target.js';
import { unreachedResult } from './unreached.js';

/** One pass over the accounts whose last sync began longer ago than this (null: all), or a service. */
export type Scope = { dueMs: number | null } | { everyMs: number; maxEveryMs: number };

/** How many accounts were synced, and the sum of their counters. */
export interface AccountsResult {
  complete: number;
  failed: number;
  skipped: number;
  totals: Counts;
}

const ACCOUNTS = 16;
const IDLE_MS = 1_000;
/** How often a service looks for full syncs that were requested by hand, and for new tokens. */
const LOOK_EVERY_MS = 300_000;
/** After so many accounts in a row that could not reach Calendly, it is not the accounts. */
const MAX_UNREACHABLE = 4;
const FIRST_PAUSE_MS = 30_000;
const MAX_PAUSE_MS = 300_000;
const CHUNK = 500;

/**
 * Syncs accounts until a pass is done, or until the signal is aborted.
 * @throws CalendlySyncError `settings`, `usage`, `user_unknown`, `schema_not_ready`, `database_unreachable`,
 * `calendly_unreachable` if a pass could not reach Calendly for several accounts in a row
 */
export async function syncAccounts(given: AccountsOptions, scope: Scope): Promise<AccountsResult> {
  const { database, users: named = [], signal = new AbortController().signal, accounts = ACCOUNTS } = given;
  const isService = 'everyMs' in scope;
  const shared = await share(given);
  const { options, hasSyncState, tokens } = shared;
  const result: AccountsResult = { complete: 0, failed: 0, skipped: 0, totals: zeroCounts() };
  const stop = stopAfter(signal, options.forMs);
  const trouble = { inRow: 0, pauseMs: FIRST_PAUSE_MS, until: 0, error: null as CalendlySyncError | null };
  const emit = guarded(options.onEvent);

  const report = (one: UserResult) => {
    result[one.status]++;
    result.totals = sumCounts([result.totals, one]);
    try {
      options.onAccount?.(one);
    } catch {
      // As for events: the sync goes on.
    }
  };
  const syncTarget = createTargetSync({
    ...shared,
    stop: stop.signal,
    emit,
    rhythm: isService ? scope : null,
  });
  const run = async (target: Target) => {
    try {
      const one = await syncTarget(target);
      if (one.error?.code !== 'calendly_unreachable')
        Object.assign(trouble, { inRow: 0, pauseMs: FIRST_PAUSE_MS });
      else if (++trouble.inRow >= MAX_UNREACHABLE)
        pauseAll(new CalendlySyncError(one.error.code, one.error.message, one.error));
      report(one);
    } catch (error) {
      pauseAll(toCalendlySyncError(error));
    }
  };
  function pauseAll(error: CalendlySyncError): void {
    if (!isService) {
      trouble.error ??= error;
      stop.now();
      return;
    }
    if (performance.now() < trouble.until) return;
    trouble.until = performance.now() + trouble.pauseMs;
    trouble.pauseMs = Math.min(2 * trouble.pauseMs, MAX_PAUSE_MS);
    emit({
      type: 'warning',
      email: null,
      text: `No account is synced for ${trouble.pauseMs / 2_000} s: ${error.message}`,
    });
  }

  const look = async () => {
    if (options.tokens) await provide(shared, options.tokens);
    await database.transaction(async (sql) => {
      if (hasSyncState) await findRequestedFullSyncs(sql);
      if (isService) await keepWithin(sql, scope.everyMs / 1_000, scope.maxEveryMs / 1_000);
    });
    if (hasSyncState && (await database.transaction(hasPendingEvents, { readOnly: true })))
      await applyPending({ database, signal: stop.signal, onEvent: emit });
  };

  if (named.length > 0 || options.dryRun) {
    const ids = named.length > 0 ? await idsOf(shared, named) : null;
    if (options.full || options.reread) await requestAgain(shared, ids);
    const take = takeNamed(shared, ids, report);
    await runInSlots<Target>({ slots: accounts, take, run, stop: stop.signal });
  } else {
    await releaseDead(database);
    if (options.full || options.reread) await requestAgain(shared, null);
    await look();
    const before = await database.transaction(databaseTime, { readOnly: true });
    const pass = isService
      ? null
      : { before: later(before, -(scope.dueMs ?? 0)), ignoreBackOff: scope.dueMs === null };
    const claims = createClaims({ database, hasSyncState, tokens, slots: accounts, pass });
    let lookAt = performance.now() + LOOK_EVERY_MS;
    const take = async (free: number) => {
      if (performance.now() < trouble.until) return [];
      try {
        if (performance.now() >= lookAt) {
          lookAt = performance.now() + LOOK_EVERY_MS;
          await look();
        }
        return (await claims.take(free))?.map((claim) => ({ ...claim, claim })) ?? null;
      } catch (error) {
        if (!isService) throw error;
        pauseAll(toCalendlySyncError(error));
        return [];
      }
    };
    const idleMs = isService ? IDLE_MS : undefined;
    const runClaimed = (target: Target) =>
      run(target).finally(() => target.claim && claims.ended(target.claim));
    await runInSlots<Target>({ slots: accounts, take, run: runClaimed, stop: stop.signal, idleMs });
    if (pass && !stop.signal.aborted) {
      await reportUnreached(shared, pass.before, report);
      await look();
    }
  }
  stop.end();
  if (trouble.error) throw trouble.error;
  return result;
}

/** Reports the accounts that a pass did not take: held by another process, parked, or backing off. */
async function reportUnreached(
  { options: { database }, tokens }: Shared,
  before: string,
  report: (result: UserResult) => void,
): Promise<void> {
  for (let after = '0'; ; ) {
    const cursor = { after, limit: CHUNK, before, tokens };
    const rows = await database.transaction((sql) => findUnreached(sql, cursor), { readOnly: true });
    for (const row of rows) report(unreachedResult(row));
    const last = rows.at(-1);
    if (!last) return;
    after = last.accountId;
  }
}

/** A signal that is aborted with another one, after some time, or at once. */
function stopAfter(signal: AbortSignal, ms: number | undefined) {
  const controller = new AbortController();
  const now = () => controller.abort(signal.reason);
  const timer = ms === undefined ? undefined : setTimeout(now, ms);
  signal.addEventListener('abort', now);
  if (signal.aborted) now();
  const end = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', now);
  };
  return { signal: controller.signal, now, end };
}
