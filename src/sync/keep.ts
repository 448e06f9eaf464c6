/**
 * The public functions for many accounts: sync one, sync those that are due, keep all of them synced. Each may be called
 * from cron, a job queue or a service, any number of times at once: an account is synced by one caller at a time.
 */

import type { UserId } from '../database/user-id.js';
import { parseDuration } from '../duration.js';
import { CalendlySyncError } from '../errors.js';
import { type AccountsResult, syncAccounts } from './accounts.js';
import type { AccountsOptions } from './accounts-setup.js';
import type { UserResult } from './report.js';

type Common = Omit<
  AccountsOptions,
  'users' | 'dryRun' | 'full' | 'event' | 'since' | 'until' | 'forMs' | 'accounts'
>;

/** A duration like `15m`, or a number of ms. */
export type Duration = string | number;

export interface SyncAccountOptions extends Omit<Common, 'onAccount'> {
  /** `users.id` or e-mail. */
  userId: UserId;
}

/**
 * Syncs one account now, whether or not it is due. With `tokens` it is connected first if it is not yet.
 * @returns its result; `skipped` if another process is syncing it
 * @throws CalendlySyncError `user_unknown`, `settings`, `schema_not_ready`, `database_unreachable`
 */
export async function syncAccount({ userId, ...options }: SyncAccountOptions): Promise<UserResult> {
  let result: UserResult | null = null;
  const onAccount = (one: UserResult) => {
    result = one;
  };
  await syncAccounts({ ...options, users: [String(userId)], onAccount }, { dueMs: null });
  if (result === null) throw new CalendlySyncError('stopped', 'Stopped before the account was synced.');
  return result;
}

export interface SyncDueOptions extends Common {
  /** Syncs the accounts whose last sync began at least so long ago; `15m` by default. */
  due?: Duration;
  /** Accounts at a time; 16 by default. */
  accounts?: number;
  /** Ends cleanly after so many ms; what is left is for the next call. */
  forMs?: number;
}

/**
 * Syncs all accounts that are due, once. Accounts that another process is syncing are skipped.
 * @returns how many were synced; `onAccount` gets the result of each
 * @throws CalendlySyncError `settings` without any token, `schema_not_ready`, `database_unreachable`,
 * `calendly_unreachable`
 */
export async function syncDue({ due = '15m', ...options }: SyncDueOptions): Promise<AccountsResult> {
  return syncAccounts(options, { dueMs: msOf(due) });
}

export interface KeepSyncedOptions extends Common {
  /** How often each account is synced. */
  every: Duration;
  /** How often an account is synced at least while its webhooks prove to work; `6h` by default. */
  maxEvery?: Duration;
  /** Accounts at a time; 16 by default. */
  accounts?: number;
  /** Stops it. */
  signal: AbortSignal;
}

/**
 * Keeps all accounts synced until `signal` is aborted. Errors are retried; `onAccount` gets every result.
 * @throws CalendlySyncError `settings` without any token, `schema_not_ready`, or if the database cannot be reached at
 * the start
 */
export async function keepSynced({ every, maxEvery = '6h', ...options }: KeepSyncedOptions): Promise<void> {
  const everyMs = msOf(every);
  await syncAccounts(options, { everyMs, maxEveryMs: Math.max(everyMs, msOf(maxEvery)) });
}

function msOf(duration: Duration): number {
  const ms = typeof duration === 'number' ? duration : parseDuration(duration);
  if (ms !== null && ms >= 0) return ms;
  throw new CalendlySyncError('usage', `"${duration}" is not a valid duration. Write 90s, 30m, 36h or 30d.`);
}
