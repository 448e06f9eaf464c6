/**
 * One run over one account that this process holds the lease of: plan, list, work off, record. Promises that the sync state on
 * `users` moves only when the run was complete, in one transaction with the run's own row.
 */

import type { Lease } from '../accounts/lease.js';
import type { CalendlyClient } from '../calendly/client.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { type Account, recordFullListing, releaseLease } from '../database/tables/accounts.js';
import { databaseTime } from '../database/tables/event-reads.js';
import { findDueForNoShows } from '../database/tables/meetings.js';
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
import { createWriter } from './batch-writer.js';
import { createListing } from './listing.js';
import type { Plan } from './plan.js';
import { drainPending } from './process-pending.js';
import { type Counts, countApplied, type OnSyncEvent, zeroCounts } from './report.js';

export interface AccountRunOptions {
  database: Database;
  client: CalendlyClient;
  account: Account;
  lease: Lease;
  plan: Plan;
  /** Migration 022 is applied: there is sync state on `users` to record. */
  hasSyncState: boolean;
  /** Aborted by the caller, by a lost lease, or by `halt`. */
  signal: AbortSignal;
  /** Aborted by the caller alone: the run counts as stopped, not as failed. */
  stopSignal: AbortSignal;
  halt(reason: unknown): void;
  onEvent: OnSyncEvent;
}

/** How a run ended, with what it counted. Never throws for what happened at Calendly or in the database. */
export interface AccountRunResult {
  counts: Counts;
  error: CalendlySyncError | null;
}

/** Remarks about single events that are shown one by one; the rest are counted. */
const MOST_REMARKS = 20;

export async function runAccount(options: AccountRunOptions): Promise<AccountRunResult> {
  const { database, account, lease, plan, client } = options;
  const counts = zeroCounts();
  let error: CalendlySyncError | null = null;
  let runId: string | null = null;
  try {
    const start = { accountId: account.id, userId: account.userId, mode: plan.mode, window: plan.window };
    runId = await persistentTransaction(database, (sql) => startRun(sql, start));
    const unreadable = await listWindow(options, runId, counts);
    await workOff(options, runId, counts);
    if (unreadable > 0) {
      throw new CalendlySyncError(
        'incomplete',
        `${unreadable} listed rows have no URI and cannot be stored.`,
        {
          hint: 'Everything else is stored.',
        },
      );
    }
    announceFetched(options, counts);
  } catch (thrown) {
    error = failureOf(options, thrown);
  }
  const { requests, retries, rateLimitWaitMs } = client.counters();
  Object.assign(counts, { requests, retries, rate_limit_wait_ms: rateLimitWaitMs });
  try {
    await record(options, runId, counts, error);
  } catch (thrown) {
    error ??= toCalendlySyncError(thrown);
  } finally {
    lease.stop();
  }
  if (!error && plan.reason === 'initial')
    options.onEvent({ type: 'initial_complete', email: account.email });
  return { counts, error };
}

/** Lists the window, pages back to back, and puts what needs work into the pending table. Answers how many rows could not be read at all. */
async function listWindow(options: AccountRunOptions, runId: string, counts: Counts): Promise<number> {
  const { database, client, account, plan, signal, onEvent } = options;
  const { seenAt, left } = await persistentTransaction(database, async (sql) => ({
    seenAt: await databaseTime(sql),
    left: await countPending(sql, account.id),
  }));
  const listing = createListing(account.userId, plan.window, seenAt);
  const remarks = remarker(options);
  // Only then can a listed event that needs nothing be among the pending ones.
  let mayBePending = left > 0;
  let unreadable = 0;
  for await (const page of client.listEvents(account.calendlyUri, plan.window)) {
    const { findings: found, accept } = await persistentTransaction(
      database,
      async (sql) => {
        const examined = await listing.examine(sql, page);
        const { findings } = examined;
        if (mayBePending) await dropPending(sql, account.id, findings.unchanged);
        await addPendingUris(sql, account.id, runId, 'unlisted', findings.unlisted);
        await addPending(sql, account.id, runId, findings.news);
        return examined;
      },
      signal,
    );
    accept();
    mayBePending ||= found.unlisted.length > 0;
    counts.fetched.active += found.active;
    counts.fetched.canceled += found.canceled;
    counts.unchanged += found.unchanged.length;
    unreadable += page.unreadable;
    for (const { uri, text } of found.issues) remarks.add(`${uri} is odd: ${text}; stored as it is`);
    const listed = counts.fetched.active + counts.fetched.canceled;
    onEvent({
      type: 'progress',
      email: account.email,
      listed,
      read: 0,
      toRead: null,
      waitingUntil: client.waitingUntil(),
    });
    signal.throwIfAborted();
  }
  remarks.end();
  return unreadable;
}

/** Reads and writes everything that is pending: this run's findings, and what an earlier run left behind. */
async function workOff(options: AccountRunOptions, runId: string, counts: Counts): Promise<void> {
  const { database, client, account, plan, signal, onEvent } = options;
  const toRead = await persistentTransaction(database, async (sql) => {
    await adoptPending(sql, account.id, runId);
    if (plan.counts)
      await addPendingUris(sql, account.id, runId, 'no_show', await findDueForNoShows(sql, account.userId));
    return countPending(sql, account.id);
  });
  const remarks = remarker(options);
  const failed: string[] = [];
  let done = 0;
  const listed = counts.fetched.active + counts.fetched.canceled;
  const progress = () =>
    onEvent({
      type: 'progress',
      email: account.email,
      listed,
      read: done,
      toRead,
      waitingUntil: client.waitingUntil(),
    });
  const ticking = setInterval(progress, 1_000);
  const writer = createWriter({
    database,
    accountId: account.id,
    userId: account.userId,
    onApplied: (applied) => countApplied(counts, applied),
    onMissing: (outcome) => {
      counts[outcome]++;
    },
    onFailed: (uri, message) => {
      failed.push(uri);
      remarks.add(`${uri}: ${message}`);
    },
  });
  try {
    await drainPending({
      database,
      client,
      accountId: account.id,
      userId: account.userId,
      calendlyUri: account.calendlyUri,
      writer,
      signal,
      halt: options.halt,
      onSettled: () => {
        done++;
        progress();
      },
      onRead: () => {
        counts.invitees.events_read++;
      },
      onOddity: (uri, text) => remarks.add(`${uri} is odd: ${text}; stored as it is`),
    });
  } finally {
    clearInterval(ticking);
    remarks.end();
  }
  if (failed.length > 0) {
    throw new CalendlySyncError(
      'incomplete',
      `${failed.length} of ${toRead} meetings could not be brought up to date: ${failed.slice(0, 3).join(', ')}${failed.length > 3 ? ', …' : ''}`,
      { hint: 'Everything else is stored. The next sync tries these again.' },
    );
  }
}

/** Ends the run's row, gives the lease back and, when all is done, moves the sync state: all at once or not at all. */
async function record(
  options: AccountRunOptions,
  runId: string | null,
  counts: Counts,
  error: CalendlySyncError | null,
) {
  const { database, account, lease, plan, hasSyncState } = options;
  const { requests, retries, rate_limit_wait_ms: rateLimitWaitMs, ...rest } = counts;
  const status: RunEnd['status'] =
    error === null ? 'complete' : error.code === 'stopped' ? 'stopped' : 'failed';
  await persistentTransaction(database, async (sql) => {
    const held = await releaseLease(
      sql,
      account.id,
      lease.owner,
      error && error.code !== 'stopped' ? error : null,
    );
    if (!held && error === null) {
      throw new CalendlySyncError(
        'locked',
        'Another process took this account over before the run was recorded.',
        {
          hint: 'What was read is stored; run the same command again.',
        },
      );
    }
    if (runId !== null)
      await endRun(sql, runId, { status, counts: rest, requests, retries, rateLimitWaitMs, error });
    if (error === null && runId !== null && plan.counts) {
      if (plan.fullWindow) await recordFullListing(sql, account.id, runId);
      if (hasSyncState) await recordSync(sql, account.userId, plan.mode === 'full');
    }
  });
}

function announceFetched({ account, plan, onEvent }: AccountRunOptions, counts: Counts): void {
  const { active, canceled } = counts.fetched;
  onEvent({ type: 'fetched', email: account.email, mode: plan.mode, active, canceled });
}

function failureOf({ stopSignal, lease }: AccountRunOptions, thrown: unknown): CalendlySyncError {
  if (stopSignal.aborted) {
    return new CalendlySyncError('stopped', 'Stopped before the end. What was read so far is stored.', {
      hint: 'The next sync goes on from there.',
      cause: thrown,
    });
  }
  if (lease.lost.aborted) return toCalendlySyncError(lease.lost.reason);
  return toCalendlySyncError(thrown);
}

/** Shows the first remarks and counts the others, so that 10,000 odd rows do not fill a screen. */
function remarker({ account, onEvent }: AccountRunOptions) {
  let count = 0;
  const say = (text: string) => onEvent({ type: 'remark', email: account.email, text });
  return {
    add(text: string) {
      if (++count <= MOST_REMARKS) say(text);
    },
    end() {
      if (count > MOST_REMARKS) say(`… and ${count - MOST_REMARKS} more like these`);
    },
  };
}
