/** What a sync reports: events while it runs, and a result at its end. Shapes and arithmetic; runs nothing. */
import type { CalendlyClient } from '../calendly/client.js';
import type { HttpAttempt } from '../calendly/http.js';
import { userIdForJson } from '../database/user-id.js';
import type { CalendlySyncError, ErrorReport } from '../errors.js';
import type { Applied } from '../resources/meetings/apply.js';
import type { MaintenanceEvent } from '../webhook/subscriptions/maintain.js';
import type { Plan } from './plan.js';

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
  /** `skipped`: another process is syncing the account. */
  status: 'complete' | 'failed' | 'skipped';
  /** UTC, ISO-8601; null if the run failed before it was planned. */
  window: { from: string; to: string } | null;
  duration_ms: number;
  error: ErrorReport | null;
}

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
  | { type: 'fetched'; email: string | null; mode: Plan['mode']; active: number; canceled: number }
  | { type: 'initial_complete'; email: string | null }
  | { type: 'finished'; email: string | null; result: UserResult }
  | { type: 'warning'; email: string | null; text: string }
  | { type: 'attempt'; attempt: HttpAttempt }
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

/** Adds what applying one observation did. */
export function countApplied(counts: Counts, { outcome, invitees }: Applied): void {
  // Reading only the invitees of a meeting again does not count as a listed meeting.
  if (outcome !== 'unknown') counts[outcome]++;
  counts.invitees.new += invitees.new;
  counts.invitees.updated += invitees.updated + invitees.removed;
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
    for (const [name, count] of Object.entries(counts)) {
      if (typeof count === 'number') sum[name as SimpleCounter] += count;
    }
  }
  return sum;
}

type SimpleCounter = { [K in keyof Counts]: Counts[K] extends number ? K : never }[keyof Counts];

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
  counts: Counts;
  durationMs: number;
  error: CalendlySyncError | null;
}): UserResult {
  const { userId, email, plan, counts, durationMs, error } = run;
  const skipped = error?.code === 'locked' && plan === null;
  return {
    user_id: userId === null ? null : userIdForJson(userId),
    email,
    mode: plan?.mode ?? 'full',
    status: error === null ? 'complete' : skipped ? 'skipped' : 'failed',
    window: plan && {
      from: new Date(plan.window.from).toISOString(),
      to: new Date(plan.window.to).toISOString(),
    },
    ...counts,
    duration_ms: durationMs,
    error: error?.toReport() ?? null,
  };
}
