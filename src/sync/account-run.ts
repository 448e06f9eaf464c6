/**
 * Runs one sync of one account whose lease this process holds: list, process, record. Sync state on `users` changes
 * only if the run was complete, in the transaction that also ends the run's own row and releases the lease.
 */
import type { Lease } from '../accounts/lease.js';
import type { CalendlyClient } from '../calendly/client.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { type Account, recordFullListing } from '../database/tables/accounts.js';
import { adoptMeetings } from '../database/tables/adopt-meetings.js';
import { findDueForNoShows } from '../database/tables/calendly-events.js';
import { releaseLease } from '../database/tables/leases.js';
import {
  addPending,
  addPendingUris,
  adoptPending,
  countPending,
  dropPending,
} from '../database/tables/pending-events.js';
import { endRun, type RunEnd, startRun } from '../database/tables/sync-runs.js';
import { recordSync } from '../database/tables/users.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { listChanges } from './listing.js';
import type { Plan } from './plan.js';
import { type FailedEvent, generalReason, processPending } from './process-pending.js';
import {
  type Counts,
  countRequests,
  fetchedEvent,
  invalidValue,
  type OnSyncEvent,
  progressEvent,
} from './report.js';

export interface AccountRunOptions {
  database: Database;
  client: CalendlyClient;
  account: Account;
  lease: Lease;
  plan: Plan;
  /** Migration 022 is applied, so `users` has sync state to record. */
  hasSyncState: boolean;
  /** Aborted when the run must end; its reason is the error. */
  signal: AbortSignal;
  /** Aborted by the caller: the run counts as stopped, not as failed. */
  stopSignal: AbortSignal;
  /** Aborts the run and all its requests with this error. */
  abort(error: unknown): void;
  /** Max requests in progress, if it is set. */
  concurrency?: number | undefined;
  /** Counts what the run does, also if it fails. */
  counts: Counts;
  onEvent: OnSyncEvent;
}

/** Warnings about single events that are shown; the others are only counted. */
const MAX_WARNINGS = 20;

/** Runs the sync and returns its error, if any. Never throws for a failure at Calendly or in the database. */
export async function runAccount(options: AccountRunOptions): Promise<CalendlySyncError | null> {
  const { database, account, plan, client, counts, onEvent } = options;
  let error: CalendlySyncError | null = null;
  let runId: string | null = null;
  try {
    const start = { accountId: account.id, userId: account.userId, mode: plan.mode, window: plan.window };
    const started = await persistentTransaction(database, async (sql) => ({
      runId: await startRun(sql, start),
      left: await countPending(sql, account.id),
    }));
    runId = started.runId;
    const { unreadable, hasChanges } = await listWindow(options, runId, started.left > 0);
    // The application may have written the same meetings in the meantime.
    if (hasChanges || plan.fullWindow)
      await adoptMeetings(database, { signal: options.signal, userId: account.userId });
    await processAll(options, runId);
    if (unreadable > 0) {
      throw new CalendlySyncError(
        'incomplete',
        `${unreadable} listed rows have no URI and cannot be stored.`,
        { hint: 'Everything else is stored.' },
      );
    }
    onEvent(fetchedEvent(account.email, plan.mode, counts));
  } catch (cause) {
    error = toRunError(options, cause);
  }
  countRequests(counts, client);
  try {
    await record(options, runId, error);
  } catch (cause) {
    error ??= toCalendlySyncError(cause);
  }
  if (!error && plan.reason === 'initial') onEvent({ type: 'initial_complete', email: account.email });
  return error;
}

/**
 * Lists the window and stores what needs work as pending.
 * @param mayBePending false if nothing is pending yet: then no listed event has to be removed from the pending ones
 * @returns the number of listed rows without a URI, and whether any event has changed
 */
async function listWindow(
  options: AccountRunOptions,
  runId: string,
  mayBePending: boolean,
): Promise<{ unreadable: number; hasChanges: boolean }> {
  const { id, userId, calendlyUri, email } = options.account;
  const listing = { ...options, userId, calendlyUri, email, window: options.plan.window };
  let dropUnchanged = mayBePending;
  const pages = listChanges(listing, async (sql, { changed, unchanged, unlisted }) => {
    if (dropUnchanged) await dropPending(sql, id, unchanged);
    await addPendingUris(sql, id, runId, 'unlisted', unlisted);
    await addPending(sql, id, runId, changed);
  });
  const warnings = limitedWarnings(options);
  let unreadable = 0;
  let hasChanges = false;
  for await (const page of pages) {
    dropUnchanged ||= page.unlisted.length > 0;
    unreadable += page.unreadable;
    hasChanges ||= page.changed.length > 0;
    for (const { uri, text } of page.issues) warnings.add(invalidValue(uri, text));
  }
  warnings.end();
  return { unreadable, hasChanges };
}

/** Processes everything that is pending: what this run found, and what an earlier run left. */
async function processAll(options: AccountRunOptions, runId: string): Promise<void> {
  const { database, client, account, plan, counts, onEvent } = options;
  const toRead = await persistentTransaction(database, async (sql) => {
    await adoptPending(sql, account.id, runId);
    if (plan.updatesSyncState)
      await addPendingUris(sql, account.id, runId, 'no_show', await findDueForNoShows(sql, account.userId));
    return countPending(sql, account.id);
  });
  const warnings = limitedWarnings(options);
  let read = 0;
  const progress = () => onEvent(progressEvent(account.email, counts, client, { read, toRead }));
  const ticking = setInterval(progress, 1_000);
  const onProcessed = () => {
    read++;
    progress();
  };
  try {
    const failed = await processPending({ ...options, warn: warnings.add, onProcessed });
    if (failed.length > 0) throw incomplete(failed, toRead);
  } finally {
    clearInterval(ticking);
    warnings.end();
  }
}

function incomplete(failed: FailedEvent[], total: number): CalendlySyncError {
  const uris = failed.map(({ uri }) => uri);
  const some = `${uris.slice(0, 3).join(', ')}${uris.length > 3 ? ', …' : ''}`;
  const times = new Map<string, number>();
  for (const event of failed) times.set(generalReason(event), (times.get(generalReason(event)) ?? 0) + 1);
  const [reason] = [...times].sort(([, a], [, b]) => b - a)[0] ?? [''];
  const others = failed.length < total ? 'The others are stored. ' : '';
  return new CalendlySyncError(
    'incomplete',
    `${failed.length} of ${total} meetings could not be brought up to date: ${some}` +
      `\n${times.size > 1 ? 'The most frequent reason' : 'The reason'}: ${reason}`,
    { hint: `${others}The next sync tries these again.` },
  );
}

/** Ends the run's row, releases the lease and, if the run is complete, updates the sync state: all or nothing. */
async function record(
  { database, account, lease, plan, hasSyncState, counts }: AccountRunOptions,
  runId: string | null,
  error: CalendlySyncError | null,
) {
  const { requests, retries, rate_limit_wait_ms: rateLimitWaitMs, ...rest } = counts;
  const stopped = error?.code === 'stopped';
  const status: RunEnd['status'] = error === null ? 'complete' : stopped ? 'stopped' : 'failed';
  await persistentTransaction(database, async (sql) => {
    const held = await releaseLease(sql, lease, stopped ? null : error);
    if (!held && error === null) {
      throw new CalendlySyncError(
        'locked',
        'Another process took this account over before the run was recorded.',
        { hint: 'What was read is stored; run the same command again.' },
      );
    }
    if (runId === null) return;
    await endRun(sql, runId, { status, counts: rest, requests, retries, rateLimitWaitMs, error });
    if (error !== null || !plan.updatesSyncState) return;
    if (plan.fullWindow) await recordFullListing(sql, account.id, runId);
    if (hasSyncState) await recordSync(sql, account.userId, plan.mode === 'full');
  });
}

/** The error of a run: that it was stopped, why it was aborted, or else what was thrown. */
function toRunError({ stopSignal, signal }: AccountRunOptions, cause: unknown): CalendlySyncError {
  if (!stopSignal.aborted) return toCalendlySyncError(signal.aborted ? signal.reason : cause);
  return new CalendlySyncError('stopped', 'Stopped before the end. What was read so far is stored.', {
    hint: 'The next sync continues from there.',
    cause,
  });
}

/** Shows the first warnings and counts the others, so that 10,000 invalid rows do not fill a screen. */
function limitedWarnings({ account, onEvent }: AccountRunOptions) {
  let count = 0;
  const warn = (text: string) => onEvent({ type: 'warning', email: account.email, text });
  return {
    add(text: string) {
      if (++count <= MAX_WARNINGS) warn(text);
    },
    end() {
      if (count > MAX_WARNINGS) warn(`… and ${count - MAX_WARNINGS} more like these`);
    },
  };
}
