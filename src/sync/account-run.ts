/**
 * Runs one sync of one account: list, read, write, record. Sync state on `users` changes only if the run was complete,
 * in the transaction that also records the run and releases the lease. A dry run takes the same steps and writes
 * nothing; a run of one meeting leaves the listing out.
 */

import { sqlState } from '../database/errors.js';
import { adoptMeetings } from '../database/tables/adopt-meetings.js';
import { findDueForAudit, findDueForNoShows, findRemembered } from '../database/tables/calendly-events.js';
import {
  addPending,
  countPending,
  findExceptions,
  type Pending,
  type PendingKind,
  resumePending,
} from '../database/tables/pending-events.js';
import type { Outcome } from '../database/tables/sync-runs.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import { retry } from '../retry.js';
import { incomplete } from './failures.js';
import { listChanges, toText } from './listing.js';
import { listsWindow } from './plan.js';
import { pendingEvents, readAll, readEvent, type Wanted } from './read.js';
import { countRequests, fetchedEvent, invalidValue, progressEvent, type Reporter } from './report.js';
import { type DueResources, readResources } from './resources.js';
import { type Item, type Run, urgencyOf } from './run.js';
import { createWriter, type Writer } from './write.js';

export interface AccountRunOptions {
  /** URI of the one meeting to read; null for a listing of the plan's window. */
  event: string | null;
  /** Updates what is known of the account, once a day; null if that is not due. */
  refresh: (() => Promise<unknown>) | null;
  /** Events that earlier runs left pending. */
  leftovers: number;
  /** Ended meetings are due for a look at their no-shows. */
  hasDue: boolean;
  /** What to read beside meetings; null: nothing. */
  resources: DueResources | null;
  /** Migration 022 is applied, so `users` has sync state to record. */
  hasSyncState: boolean;
  /** Aborted by the caller: the run counts as stopped, not as failed. */
  stopSignal: AbortSignal;
  /** How often the account is synced from now on, in seconds; without it, as before. */
  everyS?: ((report: Reporter) => Promise<number>) | undefined;
}

/** Runs the sync and returns its error, if any. Never throws for a failure at Calendly or in the database. */
export async function runAccount(run: Run, options: AccountRunOptions): Promise<CalendlySyncError | null> {
  const { plan, report, account } = run;
  let error: CalendlySyncError | null = null;
  const writer = createWriter(run);
  let total = 1;
  let isRejected = false;
  try {
    try {
      if (plan.reason === 'resources') total = 0;
      else if (options.event === null) total = await syncWindow(run, writer, options);
      else {
        error = await syncEvent(run, writer, options.event);
        isRejected = error !== null;
      }
    } catch (cause) {
      // Ends the requests that are still in progress.
      run.abort(cause);
      throw cause;
    } finally {
      // What was read is stored, however the run ends.
      await writer.flush();
    }
    if (writer.failed.length > 0) throw incomplete(writer.failed, total);
    if (options.resources && !isRejected) await readResources(run, options.resources);
  } catch (cause) {
    error = toRunError(run, options.stopSignal, cause);
  }
  countRequests(report.counts, run.client);
  // A meeting that this account does not have says nothing about the account.
  if (!isRejected) error = await record(run, options, error);
  if (!error && plan.reason === 'initial' && run.lease)
    report.emit({ type: 'initial_complete', email: account.email });
  return error;
}

/** @returns the number of meetings that were listed or asked for */
async function syncWindow(run: Run, writer: Writer, options: AccountRunOptions): Promise<number> {
  const { leftovers, refresh, hasDue } = options;
  await refresh?.();
  const { client, lease, plan, report, account } = run;
  const listed = await listWindow(run, writer, leftovers > 0);
  report.emit(fetchedEvent(account.email, plan.mode, report.counts));
  const toRead =
    lease && account.id !== null
      ? await queueDue(run, account.id, { hasLeftovers: leftovers > 0, queued: listed.queued, hasDue })
      : 0;
  const wanted =
    lease && account.id !== null ? pendingEvents(run, account.id) : dryEvents(run, listed.pending);
  if (toRead > 0 || !lease) {
    let read = 0;
    const progress = () => report.emit(progressEvent(account.email, report.counts, client, { read, toRead }));
    const ticking = setInterval(progress, 1_000);
    try {
      for await (const item of readAll(run, wanted)) {
        await writer.add(item);
        read++;
        progress();
      }
    } finally {
      clearInterval(ticking);
    }
  }
  if (listed.unreadable > 0) {
    const message = `${listed.unreadable} listed rows have no valid URI and cannot be stored.`;
    throw new CalendlySyncError('incomplete', message, { hint: 'Everything else is stored.' });
  }
  const { active, canceled } = report.counts.fetched;
  return Math.max(toRead, active + canceled);
}

/** Lists the window; each page's rows are written before the next page is requested. */
async function listWindow(run: Run, writer: Writer, hasLeftovers: boolean) {
  const { lease, plan, report, userId } = run;
  let mayBePending = hasLeftovers;
  let adopted = !lease || userId === null;
  let unreadable = 0;
  let queued = false;
  const pending = new Map<string, Pending>();
  for await (const page of listChanges(run)) {
    // The application may have written the same meetings in the meantime.
    if (!adopted && userId !== null && (page.hasNew || plan.fullWindow)) {
      await adoptMeetings(run.database, { signal: run.signal, userId, onDuplicate: report.warn });
      adopted = true;
    }
    const unchanged = mayBePending ? page.unchanged.map((uri): Item => ({ uri })) : [];
    await writer.write([...page.items, ...unchanged]);
    queued ||= page.items.some(({ next }) => next);
    mayBePending ||= page.items.some(({ next }) => next?.kind === 'unlisted');
    if (!lease) {
      for (const uri of page.unchanged) pending.delete(uri);
      for (const { uri, next } of page.items) next ? pending.set(uri, next) : pending.delete(uri);
    }
    unreadable += page.unreadable;
    for (const { uri, text } of page.issues) report.warn(invalidValue(uri, text));
  }
  return { unreadable, queued, pending: [...pending.values()] };
}

/** Queues what is due besides the listing, and returns how much there is to read. */
async function queueDue(
  run: Run,
  accountId: string,
  { hasLeftovers, queued, hasDue }: { hasLeftovers: boolean; queued: boolean; hasDue: boolean },
): Promise<number> {
  const { lease, plan } = run;
  const due = hasDue || plan.daily ? await run.read((sql) => findDue(run, sql)) : [];
  if (!lease || (!hasLeftovers && !queued && due.length === 0)) return 0;
  return lease.transaction(async (sql) => {
    if (hasLeftovers) await resumePending(sql, accountId, lease.number);
    await addPending(sql, accountId, lease.number, due);
    return countPending(sql, accountId);
  });
}

async function findDue(
  { userId, plan }: Run,
  sql: Parameters<Parameters<Run['read']>[0]>[0],
): Promise<Pending[]> {
  if (userId === null || !plan.updatesSyncState) return [];
  const pending = (kind: PendingKind) => (uri: string) => ({ uri, kind, urgency: urgencyOf(kind) });
  const noShows = await findDueForNoShows(sql, userId);
  const [from, to] = [toText(plan.window.from), toText(plan.window.to)];
  const audit = plan.daily ? await findDueForAudit(sql, userId, from, to) : [];
  return [...noShows.map(pending('no_show')), ...audit.map(pending('audit'))];
}

/** In a dry run, invitees are only counted; meetings that were not listed are asked for. */
async function* dryEvents(run: Run, listed: Pending[]): AsyncGenerator<Wanted> {
  const due = await run.read((sql) => findDue(run, sql));
  for (const pending of [...listed, ...due]) {
    if (pending.kind === 'unlisted') yield { ...pending, askedAt: run.databaseNow };
    else run.report.counts.invitees.events_read++;
  }
}

/** @returns the error if this account has no such meeting: then nothing is written */
async function syncEvent(run: Run, writer: Writer, uri: string): Promise<CalendlySyncError | null> {
  const { report, userId, account } = run;
  const known =
    userId === null ? null : await run.read((sql) => findRemembered(sql, userId, externalId(uri)));
  const wanted = { uri, kind: 'unlisted', urgency: 0, askedAt: run.databaseNow } as const;
  const item = await readEvent(run, wanted, { always: true });
  const event = item.observation?.event ?? null;
  if (known === null && item.missing) {
    return item.missing === 'gone'
      ? new CalendlySyncError(
          'calendly_not_found',
          `Calendly has no meeting ${uri}, and neither has the database.`,
          {
            hint: 'Check the ID: it is the last part of the URI of the event.',
          },
        )
      : new CalendlySyncError('calendly_forbidden', `The user of this token may not see ${uri}.`);
  }
  if (known === null && event && ownership(event, account.calendlyUri) === 'reassigned') {
    return new CalendlySyncError('usage', `${account.email ?? account.calendlyUri} does not host ${uri}.`, {
      hint: 'A meeting is only stored under the user whose token it was read with.',
    });
  }
  if (event) report.counts.fetched[event.status === 'canceled' ? 'canceled' : 'active'] = 1;
  // The application may have inserted the meeting itself.
  if (run.lease && userId !== null) await adoptMeetings(run.database, { signal: run.signal, userId });
  await writer.write([item]);
  return null;
}

/** How often a run is recorded again while the application has locked the row of its user, each time for 5 s. */
const RECORD_RETRIES = 2;
const RECORD_PAUSE_MS = 500;

/**
 * Records how the run ended and releases the lease. If the application keeps the row of the user locked, the run has
 * failed: what it stored stays, and its failure is recorded without that row.
 * @returns the error of the run
 */
async function record(
  run: Run,
  options: AccountRunOptions,
  error: CalendlySyncError | null,
): Promise<CalendlySyncError | null> {
  const { stopSignal } = options;
  try {
    await retry(() => recordOnce(run, options, error), {
      retries: error === null ? RECORD_RETRIES : 0,
      pauseMs: RECORD_PAUSE_MS,
      shouldRetry: isLocked,
      ...(error === null && { signal: stopSignal }),
    });
    return error;
  } catch (cause) {
    if (error !== null || !(stopSignal.aborted || isLocked(cause)))
      return error ?? toCalendlySyncError(cause);
    const failure = stopSignal.aborted ? toRunError(run, stopSignal, cause) : userLocked(cause);
    await recordOnce(run, options, failure).catch(() => {});
    return failure;
  }
}

function isLocked(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

function userLocked(cause: unknown): CalendlySyncError {
  const message = 'The meetings are stored, but the row of their user in users is locked.';
  return new CalendlySyncError('locked', message, {
    hint: 'Another transaction holds it. Try again later.',
    cause,
  });
}

/** Records the run, releases the lease and, if the run is complete, updates the sync state: all or nothing. */
async function recordOnce(
  run: Run,
  { hasSyncState, leftovers, everyS }: AccountRunOptions,
  error: CalendlySyncError | null,
): Promise<void> {
  const { lease, account, plan, report, userId } = run;
  if (!lease || account.id === null || userId === null) return;
  const accountId = account.id;
  const { requests, retries, rate_limit_wait_ms: rateLimitWaitMs, ...counts } = report.counts;
  if (leftovers > 0)
    report.exceptions = await run.read((sql) => findExceptions(sql, accountId)).catch(() => []);
  const updatesSyncState = error === null && plan.updatesSyncState;
  await lease.end({
    outcome: outcomeOf(error),
    userId,
    mode: plan.mode,
    window: listsWindow(plan) ? plan.window : null,
    counts,
    requests,
    retries,
    rateLimitWaitMs,
    error,
    always: error !== null || report.hasWritten || !hasSyncState,
    everyS: error === null && everyS ? await everyS(report) : null,
    listedAll: updatesSyncState && plan.fullWindow,
    syncState: updatesSyncState && hasSyncState ? { full: plan.mode === 'full' } : null,
  });
}

/** How the run counts for its account. */
export function outcomeOf(error: CalendlySyncError | null): Outcome {
  if (error === null) return 'complete';
  const outcomes: Partial<Record<CalendlySyncError['code'], Outcome>> = {
    stopped: 'stopped',
    calendly_unreachable: 'unreachable',
    needs_reconnect: 'parked',
  };
  return outcomes[error.code] ?? 'failed';
}

/** The error of a run: that it was stopped, why it was aborted, or else what was thrown. */
function toRunError({ signal }: Run, stopSignal: AbortSignal, cause: unknown): CalendlySyncError {
  if (!stopSignal.aborted) return toCalendlySyncError(signal.aborted ? signal.reason : cause);
  return new CalendlySyncError('stopped', 'Stopped before the end. What was read so far is stored.', {
    hint: 'The next sync continues from there.',
    cause,
  });
}
