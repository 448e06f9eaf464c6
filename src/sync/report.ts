/** What a sync reports: events while it runs, and a result at its end. Shapes and arithmetic; runs nothing. */
import type { CalendlyClient } from '../calendly/client.js';
import type { HttpAttempt, HttpWait } from '../calendly/http.js';
import type { SyncException } from '../database/tables/pending-events.js';
import { userIdForJson } from '../database/user-id.js';
import type { CalendlySyncError, ErrorReport } from '../errors.js';
import { type Applied, type MeetingChange, meetingChange } from '../resources/meetings/changes.js';
import type { ResourcesResult } from '../resources/refresh.js';
import type { MaintenanceEvent } from '../webhook/subscriptions/maintain.js';
import { listsWindow, type Plan } from './plan.js';

/** Counters of one run, or the sum of several. */
export interface Counts {
  fetched: { active: number; canceled: number };
  /** Rows inserted active. */
  new: number;
  /** Existing rows whose content changed and whose deletion state did not. */
  updated: number;
  /** Listed meetings whose row needed no change. */
  unchanged: number;
  /** Rows that went from active to deleted: canceled, gone, or access lost. */
  deleted: number;
  /** Rows that went from deleted to active. */
  restored: number;
  /** Rows inserted already canceled. */
  recorded_canceled: number;
  invitees: { new: number; updated: number; events_read: number };
  /** All HTTP requests sent, retries included. */
  requests: number;
  retries: number;
  rate_limit_wait_ms: number;
}

/** The result of one account. */
export interface UserResult extends Counts {
  /** `users.id`; null if it is not known. */
  user_id: string | number | null;
  email: string | null;
  mode: 'full' | 'incremental';
  /** `skipped`: another process is syncing the account, or it backs off after a failure. */
  status: 'complete' | 'failed' | 'skipped';
  /** UTC, ISO-8601; null if the run failed before it was planned. */
  window: { from: string; to: string } | null;
  duration_ms: number;
  /** Nothing was written: the counters and changes are what a sync would do. */
  dry_run: boolean;
  /** The meetings that changed, or whose invitees did, the first 100. */
  changes: ListedChange[];
  /** The number of all of them. */
  changes_count: number;
  /** Events that are set aside: the run is complete without them. The first 100. */
  exceptions: SyncException[];
  /** What was read beside meetings; null: nothing was due. */
  resources: ResourcesResult | null;
  error: ErrorReport | null;
}

/** One changed meeting and its event's URI. */
export interface ListedChange extends Omit<MeetingChange, 'type'> {
  uri: string;
}

const MAX_CHANGES = 100;

/** What happens while a sync runs. `email` names the account. */
export type SyncEvent =
  | { type: 'planned'; email: string | null; plan: Plan }
  | {
      type: 'progress';
      email: string | null;
      listed: number;
      read: number;
      toRead: number | null;
      waitingUntil: number | null;
    }
  /** A meeting or its invitees changed, or would change in a dry run. */
  | (MeetingChange & { email: string | null; uri: string })
  | { type: 'fetched'; email: string | null; mode: Plan['mode']; active: number; canceled: number }
  | { type: 'resources'; email: string | null; resources: ResourcesResult }
  | { type: 'initial_complete'; email: string | null }
  | { type: 'finished'; email: string | null; result: UserResult }
  | { type: 'warning'; email: string | null; text: string }
  | { type: 'attempt'; attempt: HttpAttempt }
  | { type: 'waiting'; wait: HttpWait }
  | MaintenanceEvent;

export type OnSyncEvent = (event: SyncEvent) => void;

/** Returns counters at zero. */
export function zeroCounts(): Counts {
  return {
    fetched: { active: 0, canceled: 0 },
    new: 0,
    updated: 0,
    unchanged: 0,
    deleted: 0,
    restored: 0,
    recorded_canceled: 0,
    invitees: { new: 0, updated: 0, events_read: 0 },
    requests: 0,
    retries: 0,
    rate_limit_wait_ms: 0,
  };
}

/** What one run reports: its counters, its changes, and its events as they happen. */
export interface Reporter {
  readonly counts: Counts;
  readonly changes: ListedChange[];
  readonly changesCount: number;
  /** What is set aside; set at the end. */
  exceptions: SyncException[];
  /** What was read beside meetings; set at the end. */
  resources: ResourcesResult | null;
  /** The run wrote something. */
  readonly hasWritten: boolean;
  /** Bookings and cancellations since the last run that are older than 15 minutes: no webhook has told of them. */
  readonly missed: number;
  /** Adds what applying one observation did. @param updatedAt of the event */
  applied(applied: Applied, listed: boolean, updatedAt?: unknown): void;
  warn(text: string): void;
  emit: OnSyncEvent;
}

/** Warnings about single events that are shown; the others are only counted. */
const MAX_WARNINGS = 20;

/** The delivery of anything younger may still arrive. */
const TOLD_WITHIN_MS = 15 * 60_000;

/**
 * Starts the report of one run. `end` tells how many warnings were not shown.
 * @param previousRunAt when the last run of the account began
 */
export function createReporter(
  email: string | null,
  emit: OnSyncEvent,
  previousRunAt: Date | null = null,
): Reporter & { end(): void } {
  let warnings = 0;
  const reported = new Set<string>();
  const warn = (text: string) => emit({ type: 'warning', email, text });
  const reporter = {
    counts: zeroCounts(),
    changes: [] as ListedChange[],
    changesCount: 0,
    exceptions: [] as SyncException[],
    resources: null as ResourcesResult | null,
    hasWritten: false,
    missed: 0,
    emit,
    applied(applied: Applied, listed: boolean, updatedAt?: unknown) {
      const { uri, outcome, invitees, warning } = applied;
      const { counts } = reporter;
      // Only listed meetings count as unchanged.
      if (outcome !== 'unknown' && (outcome !== 'unchanged' || listed)) counts[outcome]++;
      counts.invitees.new += invitees.new;
      counts.invitees.updated += invitees.updated + invitees.removed;
      if (warning) reporter.warn(`${uri}: ${warning}`);
      const change = meetingChange(applied, 'poll');
      if (!change) return;
      reporter.hasWritten = true;
      const changedAt = Date.parse(String(updatedAt));
      const isBooking =
        change.outcome === 'new' || (change.outcome === 'deleted' && applied.after?.status === 'canceled');
      if (
        isBooking &&
        previousRunAt &&
        changedAt > previousRunAt.getTime() &&
        changedAt < Date.now() - TOLD_WITHIN_MS
      )
        reporter.missed++;
      // The invitees of a meeting that changed belong to that change.
      if (change.outcome === 'invitees' && reported.has(uri)) return;
      reported.add(uri);
      emit({ ...change, email, uri });
      const { type: _type, ...facts } = change;
      if (++reporter.changesCount <= MAX_CHANGES) reporter.changes.push({ uri, ...facts });
    },
    warn(text: string) {
      if (++warnings <= MAX_WARNINGS) warn(text);
    },
    end() {
      if (warnings > MAX_WARNINGS) warn(`… and ${warnings - MAX_WARNINGS} more like these`);
    },
  };
  return reporter;
}

/** Passes events on; a callback that throws is not called for that event, and harms nothing else. */
export function guarded(onEvent: OnSyncEvent | undefined): OnSyncEvent {
  return (event) => {
    try {
      onEvent?.(event);
    } catch {
      // The sync goes on: its caller's display is not its business.
    }
  };
}

/** Sets the counters of requests to what the client has sent so far. */
export function countRequests(counts: Counts, client: CalendlyClient): void {
  const { requests, retries, rateLimitWaitMs } = client.counters();
  Object.assign(counts, { requests, retries, rate_limit_wait_ms: rateLimitWaitMs });
}

/** Adds up the counters of several accounts. */
export function sumCounts(all: Counts[]): Counts {
  const sum = zeroCounts();
  for (const counts of all) {
    sum.fetched.active += counts.fetched.active;
    sum.fetched.canceled += counts.fetched.canceled;
    sum.invitees.new += counts.invitees.new;
    sum.invitees.updated += counts.invitees.updated;
    sum.invitees.events_read += counts.invitees.events_read;
    for (const name of SIMPLE) sum[name] += counts[name];
  }
  return sum;
}

type SimpleCounter = { [K in keyof Counts]: Counts[K] extends number ? K : never }[keyof Counts];
const SIMPLE = Object.entries(zeroCounts()).flatMap(([name, count]) =>
  typeof count === 'number' ? [name as SimpleCounter] : [],
);

/** The progress of a run; without `processing` it is still listing. */
export function progressEvent(
  email: string | null,
  counts: Counts,
  client: CalendlyClient,
  processing: { read: number; toRead: number | null } = { read: 0, toRead: null },
): SyncEvent {
  const listed = counts.fetched.active + counts.fetched.canceled;
  return { type: 'progress', email, listed, ...processing, waitingUntil: client.waitingUntil() };
}

/** The warning about an invalid value in an event or invitee. */
export function invalidValue(uri: string, issue: string): string {
  return `${uri} has an invalid value (${issue}); it is stored unchanged`;
}

/** The event that ends the listing. */
export function fetchedEvent(email: string | null, mode: Plan['mode'], { fetched }: Counts): SyncEvent {
  return { type: 'fetched', email, mode, active: fetched.active, canceled: fetched.canceled };
}

/** Builds the result of an account. A run without a plan that found the account locked was skipped. */
export function toUserResult(run: {
  userId: string | null;
  email: string | null;
  plan: Plan | null;
  report: Reporter;
  dryRun: boolean;
  durationMs: number;
  error: CalendlySyncError | null;
}): UserResult {
  const { userId, email, plan, report, dryRun, durationMs, error } = run;
  const skipped = (error?.code === 'locked' || error?.code === 'backing_off') && plan === null;
  return {
    user_id: userId === null ? null : userIdForJson(userId),
    email,
    mode: plan?.mode ?? 'full',
    status: error === null ? 'complete' : skipped ? 'skipped' : 'failed',
    window:
      plan && listsWindow(plan)
        ? { from: new Date(plan.window.from).toISOString(), to: new Date(plan.window.to).toISOString() }
        : null,
    ...report.counts,
    duration_ms: durationMs,
    dry_run: dryRun,
    changes: report.changes,
    changes_count: report.changesCount,
    exceptions: report.exceptions,
    resources: report.resources,
    error: error?.toReport() ?? null,
  };
}
