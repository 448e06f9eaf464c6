/**
 * Judges one user's state: its status, what is wrong with it, and what to type next. Pure; the clock comes in as a value.
 */
import { countOf } from '../counting.js';
import type { LastRun, UserState } from '../database/tables/health-queries.js';
import { formatDuration } from '../duration.js';

/** How a user stands: `error` after a run that failed, `never` before the first complete one, `stale` when that is too long ago. */
export type UserStatus = 'ok' | 'stale' | 'never' | 'error';

/** Something that an operator should act on. */
export interface Problem {
  /** Stable, for those who read `--json`. */
  code: ProblemCode;
  message: string;
  /** What to type or to look at next. */
  hint: string;
}

export type ProblemCode =
  | 'not_connected'
  | 'no_account'
  | 'never_synced'
  | 'stale'
  | 'sync_failed'
  | 'sync_crashed'
  | 'initial_sync_incomplete'
  | 'full_listing_overdue'
  | 'meetings_waiting'
  | 'migrations_pending'
  | 'schema_drift'
  | 'webhook_disabled'
  | 'webhook_retrying'
  | 'webhook_key_differs'
  | 'webhook_signatures_rejected'
  | 'webhook_silent'
  | 'webhook_state_unknown'
  | 'webhooks_unapplied';

export interface AssessOptions {
  /** The database's clock. */
  now: Date;
  /** How old the last complete sync may be, in ms. */
  maxAgeMs: number;
  /** Whether the process that holds the lease runs; null when it cannot be seen from here. */
  holderRuns: boolean | null;
}

export interface Assessment {
  status: UserStatus;
  problems: Problem[];
  /** A sync works on the account at this moment. */
  syncing: boolean;
}

/** The whole window is listed once a day by the syncs themselves; twice that without it is a sign that they fail. */
const FULL_LISTING_MAX_AGE_MS = 48 * 3_600_000;

/** What the state means. */
export function assessUser(state: UserState, options: AssessOptions): Assessment {
  const { now, maxAgeMs, holderRuns } = options;
  const problems: Problem[] = [];
  const name = quoted(state.email ?? state.user_id);
  const again = `calendly-sync sync --user ${name}`;
  const add = (code: ProblemCode, message: string, hint = again) => problems.push({ code, message, hint });
  const ago = (time: Date) => `${formatDuration(now.getTime() - time.getTime())} ago`;

  if (state.account_id === null) {
    add('not_connected', 'is not connected to a Calendly account', 'CALENDLY_TOKEN=… calendly-sync sync');
    return { status: 'never', problems, syncing: false };
  }
  const leased = state.lease_owner !== null;
  const syncing = leased && holderRuns !== false && isAfter(state.lease_expires_at, now);
  const run = state.last_run;
  const bad = run === null ? null : badEnd(run, syncing);
  if (run !== null && bad === 'sync_failed') {
    const code = run.error_code === null ? '' : ` (${run.error_code})`;
    const text = run.error === null ? '' : `: ${run.error}`;
    add(
      bad,
      `the last sync failed ${ago(run.finished_at ?? run.started_at)}${code}${text}`,
      failureHint(run, again),
    );
  } else if (run !== null && bad === 'sync_crashed') {
    add(
      bad,
      `the sync that began ${ago(run.started_at)} ended without a word: it was killed, or lost its database`,
    );
  }

  const last = state.last_calendly_sync;
  const age = last === null ? null : now.getTime() - last.getTime();
  const stale = age !== null && age > maxAgeMs;
  if (last === null) {
    if (bad === null && !syncing) add('never_synced', 'was never synced to the end');
  } else if (stale) {
    add('stale', `the last complete sync was ${ago(last)}; at most ${formatDuration(maxAgeMs)} is allowed`);
  } else if (state.calendly_initial_sync_complete === false && !syncing) {
    add('initial_sync_incomplete', 'a full sync is wanted and was not made yet');
  } else if (isOverdue(state.last_full_listing_at, now) && !syncing) {
    const when = state.last_full_listing_at === null ? 'never' : `last ${ago(state.last_full_listing_at)}`;
    add(
      'full_listing_overdue',
      `the whole window (2 years back, 1 year forward) was ${when} listed to its end`,
    );
  }
  if (state.pending_failed > 0) {
    const error = state.pending_error === null ? '' : `: ${state.pending_error}`;
    add(
      'meetings_waiting',
      `${countOf(state.pending_failed, 'meeting')} could not be brought up to date${error}`,
    );
  }

  const failed = bad === 'sync_failed' || bad === 'sync_crashed';
  const status = failed ? 'error' : last === null ? 'never' : stale ? 'stale' : 'ok';
  return { status, problems, syncing };
}

function badEnd(run: LastRun, syncing: boolean): 'sync_failed' | 'sync_crashed' | null {
  if (run.status === 'failed') return 'sync_failed';
  // A run that nobody works on any more has crashed, whether or not the next one has written so.
  if (run.status === 'crashed' || (run.status === 'running' && !syncing)) return 'sync_crashed';
  return null;
}

function failureHint(run: LastRun, again: string): string {
  if (run.error_code === 'calendly_unauthorized') {
    return `Make a new token at https://calendly.com/integrations/api_webhooks, set CALENDLY_TOKEN, then: ${again}`;
  }
  return again;
}

function isAfter(time: Date | null, now: Date): boolean {
  return time !== null && time.getTime() > now.getTime();
}

function isOverdue(listing: Date | null, now: Date): boolean {
  return listing === null || now.getTime() - listing.getTime() > FULL_LISTING_MAX_AGE_MS;
}

/** As a shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@.+:/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
