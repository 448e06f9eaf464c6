/**
 * Assesses one user's state: the status, the problems, and the command that fixes each. Pure; the time is a
 * parameter.
 */
import { countOf } from '../counting.js';
import type { UserState } from '../database/tables/health-queries.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { formatDuration } from '../duration.js';
import { type Problem, type ProblemCode, quoteForShell } from './problem.js';

/** `error`: the last run failed; `never`: no run has completed; `stale`: the last complete run is too old. */
export type UserStatus = 'ok' | 'stale' | 'never' | 'error';

export interface AssessOptions {
  /** The database's clock. */
  now: Date;
  /** Max age of the last complete sync, in ms; null: by the rhythm of the user's recorded runs. */
  maxAgeMs: number | null;
  /** Whether the process that holds the lease is running; null if that cannot be seen from here. */
  holderRuns: boolean | null;
}

type Internal =
  | 'account_id'
  | 'lease_owner'
  | 'lease_until'
  | 'last_full_listing_at'
  | 'median_gap_s'
  | 'pending_failed'
  | 'pending_error';

/** One user: the columns of the view `calendly_sync_health`, and their assessment. */
export interface UserHealth extends Omit<UserState, Internal | 'user_id'> {
  user_id: UserId;
  status: UserStatus;
  problems: Problem[];
  /** The max age of the last complete sync that was applied, in seconds. */
  max_age_s: number;
  /** A sync is working on the account right now. */
  syncing: boolean;
}

const MAX_AGE_MS = 24 * 3_600_000;
const MIN_AGE_MS = 3_600_000;
/** Syncs list the full window once a day; twice that without a full listing means that they fail. */
const MAX_FULL_LISTING_AGE_MS = 48 * 3_600_000;
export const NEW_TOKEN =
  'Create a new token at https://calendly.com/integrations/api_webhooks, set CALENDLY_TOKEN';

/** The part of a user's state that is shown, with its assessment. */
export function userHealth(state: UserState, options: AssessOptions): UserHealth {
  const {
    account_id,
    lease_owner,
    lease_until,
    last_full_listing_at,
    median_gap_s,
    pending_failed,
    pending_error,
    ...shown
  } = state;
  const maxAgeMs = options.maxAgeMs ?? usualMaxAge(median_gap_s);
  const user_id = userIdForJson(state.user_id);
  return { ...shown, user_id, max_age_s: maxAgeMs / 1_000, ...assess(state, { ...options, maxAgeMs }) };
}

/** Four times the usual gap. Only recorded runs show it, and unchanged checks are not: it may be too long, not too short. */
function usualMaxAge(medianGapS: number | null): number {
  if (medianGapS === null) return MAX_AGE_MS;
  return Math.min(MAX_AGE_MS, Math.max(MIN_AGE_MS, 4_000 * medianGapS));
}

function assess(
  state: UserState,
  { now, maxAgeMs, holderRuns }: AssessOptions & { maxAgeMs: number },
): Pick<UserHealth, 'status' | 'problems' | 'syncing'> {
  const problems: Problem[] = [];
  const retry = `calendly-sync sync --user ${quoteForShell(state.email ?? state.user_id)}`;
  const add = (code: ProblemCode, message: string, hint = retry) => problems.push({ code, message, hint });
  const ageOf = (time: Date) => now.getTime() - time.getTime();
  const ago = (time: Date) => `${formatDuration(ageOf(time))} ago`;

  if (state.account_id === null) {
    add('not_connected', 'is not connected to a Calendly account', 'CALENDLY_TOKEN=… calendly-sync sync');
    return { status: 'never', problems, syncing: false };
  }
  const { last_run: run, last_calendly_sync: last, last_full_listing_at: listed } = state;
  const leased = state.lease_owner !== null && state.lease_until !== null && state.lease_until > now;
  const syncing = leased && holderRuns !== false;

  const failed = run?.status === 'failed';
  // A run without a process has crashed, even if no later run has recorded that yet.
  const crashed = run?.status === 'crashed' || (run?.status === 'running' && !syncing);
  if (failed) {
    const code = run.error_code === null ? '' : ` (${run.error_code})`;
    const text = run.error === null ? '' : `: ${run.error}`;
    const message = `the last sync failed ${ago(run.finished_at ?? run.started_at)}${code}${text}`;
    add(
      'sync_failed',
      message,
      run.error_code === 'calendly_unauthorized' ? `${NEW_TOKEN}, then: ${retry}` : retry,
    );
  } else if (crashed) {
    const cause = 'its process was killed, or lost its database';
    add('sync_crashed', `the sync that started ${ago(run.started_at)} ended unexpectedly: ${cause}`);
  }

  const stale = last !== null && ageOf(last) > maxAgeMs;
  if (stale) {
    add('stale', `the last complete sync was ${ago(last)}; the maximum age is ${formatDuration(maxAgeMs)}`);
  } else if (last === null) {
    if (!failed && !crashed && !syncing) add('never_synced', 'has never completed a sync');
  } else if (state.calendly_initial_sync_complete === false) {
    if (!syncing) add('initial_sync_incomplete', 'a full sync was requested and has not run yet');
  } else if (listed === null || ageOf(listed) > MAX_FULL_LISTING_AGE_MS) {
    const when =
      listed === null ? 'has never been listed completely' : `was last listed completely ${ago(listed)}`;
    if (!syncing) add('full_listing_overdue', `the full window (2 years back, 1 year forward) ${when}`);
  }
  if (state.pending_failed > 0) {
    const error = state.pending_error === null ? '' : `: ${state.pending_error}`;
    add('meetings_waiting', `${countOf(state.pending_failed, 'meeting')} could not be updated${error}`);
  }
  const status = failed || crashed ? 'error' : stale ? 'stale' : last === null ? 'never' : 'ok';
  return { status, problems, syncing };
}
