/** What a sync says of itself: the events while it runs and the result at its end. Shapes only. */
import type { HttpAttempt } from '../calendly/http.js';
import type { ErrorReport } from '../errors.js';
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
  /** Listed meetings whose row needed nothing. */
  unchanged: number;
  /** Rows that went from active to deleted: canceled, gone, or access lost. */
  deleted: number;
  /** Rows that went from deleted to active. */
  restored: number;
  /** Rows inserted already canceled. */
  recorded_canceled: number;
  invitees: { new: number; updated: number; events_read: number };
  /** Every HTTP request sent, retries included. */
  requests: number;
  retries: number;
  rate_limit_wait_ms: number;
}

/** The result of one account. */
export interface UserResult extends Counts {
  /** `users.id`; null when it could not be found out. */
  user_id: string | number | null;
  email: string | null;
  mode: 'full' | 'incremental';
  /** `skipped`: another process is at work on the account. */
  status: 'complete' | 'failed' | 'skipped';
  /** UTC, ISO-8601; null when the run did not come so far as to have one. */
  window: { from: string; to: string } | null;
  duration_ms: number;
  error: ErrorReport | null;
}

/** What happens while a sync runs. `email` says whose. */
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
  | { type: 'remark'; email: string | null; text: string }
  | { type: 'attempt'; attempt: HttpAttempt }
  | MaintenanceEvent;

export type OnSyncEvent = (event: SyncEvent) => void;

/** Counters at zero. */
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

/** Adds what one reading did. */
export function countApplied(counts: Counts, { outcome, invitees }: Applied): void {
  // A second look at invitees alone is no listed meeting.
  if (outcome !== 'unknown') counts[outcome]++;
  counts.invitees.new += invitees.new;
  counts.invitees.updated += invitees.updated + invitees.removed;
}

/** The counters of several accounts together. */
export function sumCounts(all: Counts[]): Counts {
  const sum = zeroCounts();
  for (const one of all) {
    sum.fetched.active += one.fetched.active;
    sum.fetched.canceled += one.fetched.canceled;
    sum.invitees.new += one.invitees.new;
    sum.invitees.updated += one.invitees.updated;
    sum.invitees.events_read += one.invitees.events_read;
    for (const key of [
      'new',
      'updated',
      'unchanged',
      'deleted',
      'restored',
      'recorded_canceled',
      'requests',
      'retries',
      'rate_limit_wait_ms',
    ] as const) {
      sum[key] += one[key];
    }
  }
  return sum;
}
