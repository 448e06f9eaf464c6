/**
 * Assesses one user's state: the status, the problems, and the command that fixes each. Pure; the time is a
 * parameter.
 */
import { countOf } from '../counting.js';
import type { LastRun, UserState } from '../database/tables/health-queries.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { formatDuration } from '../duration.js';
import { type Problem, type ProblemCode, quoteForShell } from './problem.js';

/** `error`: the last run failed; `never`: no run has completed; `stale`: the last complete run is too old. */
export type UserStatus = 'ok' | 'stale' | 'never' | 'error';

export interface AssessOptions {
  /** The database's clock. */
  now: Date;
  /** Max age of the last complete sync, in ms. */
  maxAgeMs: number;
  /** Whether the process that holds the lease is running; null if that cannot be seen from here. */
  holderRuns: boolean | null;
}

export interface Assessment {
  status: UserStatus;
  problems: Problem[];
  /** A sync is working on the account right now. */
  syncing: boolean;
}

type Internal =
  | 'account_id'
  | 'lease_owner'
  | 'lease_until'
  | 'last_full_listing_at'
  | 'last_run'
  | 'pending_failed'
  | 'pending_error';

/** One user: the columns of the view `calendly_sync_health`, and their assessment. */
export interface UserHealth extends Omit<UserState, Internal | 'user_id'>, Assessment {
  user_id: UserId;
}

/** Syncs list the full window once a day; twice that without a full listing means that they fail. */
const MAX_FULL_LISTING_AGE_MS = 48 * 3_600_000;

/** The part of a user's state that is shown, with its assessment. */
export function userHealth(state: UserState, options: AssessOptions): UserHealth {
  const {
    account_id,
    lease_owner,
    lease_until,
    last_full_listing_at,
    last_run,
    pending_failed,
    pending_error,
    ...shown
  } = state;
  return { ...shown, user_id: userIdForJson(state.user_id), ...assessUser(state, options) };
}

/** Assesses a state. */
export function assessUser(state: UserState, { now, maxAgeMs, holderRuns }: AssessOptions): Assessment {
  const problems: Problem[] = [];
  const retry = `calendly-sync sync --user ${quoteForShell(state.email ?? state.user_id)}`;
  const add = (code: ProblemCode, message: string, hint = retry) => problems.push({ code, message, hint });
  const ageOf = (time: Date) => now.getTime() - time.getTime();
  const ago = (time: Date) => `${formatDuration(ageOf(time))} ago`;

  if (state.account_id === null) {
    add('not_connected', 'is not connected to a Calendly account', 'CALENDLY_TOKEN=… calendly-sync sync');
    return { status: 'never', problems, syncing: false };
  }
  const leased = state.lease_owner !== null && state.lease_until !== null;
  const syncing = leased && holderRuns !== false && ageOf(state.lease_until ?? now) < 0;
  const run = state.last_run;
  const failure = run === null ? null : failureOf(run, syncing);
  if (run !== null && failure === 'sync_failed') {
    const code = run.error_code === null ? '' : ` (${run.error_code})`;
    const text = run.error === null ? '' : `: ${run.error}`;
    const message = `the last sync failed ${ago(run.finished_at ?? run.started_at)}${code}${text}`;
    add(failure, message, failureHint(run, retry));
  }
  if (run !== null && failure === 'sync_crashed') {
    const cause = 'its process was killed, or lost its database';
    add(failure, `the sync that started ${ago(run.started_at)} ended unexpectedly: ${cause}`);
  }

  const { last_calendly_sync: last, last_full_listing_at: listed } = state;
  const stale = last !== null && ageOf(last) > maxAgeMs;
  if (last === null) {
    if (failure === null && !syncing) add('never_synced', 'has never completed a sync');
  } else if (stale) {
    add('stale', `the last complete sync was ${ago(last)}; the maximum age is ${formatDuration(maxAgeMs)}`);
  } else if (state.calendly_initial_sync_complete === false && !syncing) {
    add('initial_sync_incomplete', 'a full sync was requested and has not run yet');
  } else if ((listed === null || ageOf(listed) > MAX_FULL_LISTING_AGE_MS) && !syncing) {
    const when =
      listed === null ? 'has never been listed completely' : `was last listed completely ${ago(listed)}`;
    add('full_listing_overdue', `the full window (2 years back, 1 year forward) ${when}`);
  }
  if (state.pending_failed > 0) {
    const error = state.pending_error === null ? '' : `: ${state.pending_error}`;
    add('meetings_waiting', `${countOf(state.pending_failed, 'meeting')} could not be updated${error}`);
  }
  const status = failure !== null ? 'error' : last === null ? 'never' : stale ? 'stale' : 'ok';
  return { status, problems, syncing };
}

function failureOf(run: LastRun, syncing: boolean): 'sync_failed' | 'sync_crashed' | null {
  if (run.status === 'failed') return 'sync_failed';
  // A run without a process has crashed, even if no later run has recorded that yet.
  if (run.status === 'crashed' || (run.status === 'running' && !syncing)) return 'sync_crashed';
  return null;
}

function failureHint(run: LastRun, retry: string): string {
  if (run.error_code !== 'calendly_unauthorized') return retry;
  const page = 'https://calendly.com/integrations/api_webhooks';
  return `Create a new token at ${page}, set CALENDLY_TOKEN, then: ${retry}`;
}
