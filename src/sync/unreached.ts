/** The results of accounts that were not synced: held by another process, parked, or backing off. Pure. */
import { lockedError } from '../accounts/lease.js';
import type { Unreached } from '../database/tables/account-states.js';
import type { Account } from '../database/tables/accounts.js';
import { CalendlySyncError } from '../errors.js';
import { createReporter, toUserResult, type UserResult } from './report.js';

/** An account that another process holds. */
export function lockedResult(
  { userId, email }: Pick<Account, 'userId' | 'email'>,
  owner: string | null,
): UserResult {
  return resultWith({ userId, email }, lockedError(owner));
}

/** An account that a pass did not take. */
export function unreachedResult(account: Unreached): UserResult {
  if (account.reason === 'held') return lockedResult(account, account.owner);
  if (account.reason === 'parked')
    return resultWith(
      account,
      new CalendlySyncError(
        'needs_reconnect',
        'Calendly does not accept the token of this account any more.',
        {
          hint: 'Connect it again: calendly-sync account connect',
        },
      ),
    );
  const at = account.dueAt?.toISOString().slice(0, 16).replace('T', ' ') ?? 'later';
  return resultWith(
    account,
    new CalendlySyncError('backing_off', `Its last sync failed; the next one is due at ${at} UTC.`, {
      hint: 'Sync it now: calendly-sync sync --user ID-OR-EMAIL',
    }),
  );
}

function resultWith(
  { userId, email }: Pick<Account, 'userId' | 'email'>,
  error: CalendlySyncError,
): UserResult {
  const report = createReporter(email, () => {});
  return toUserResult({ userId, email, plan: null, report, dryRun: false, durationMs: 0, error });
}
