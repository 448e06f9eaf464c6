/**
 * Removes a connected user with all of their meetings, and then forgets them in the meetings of others. Disconnecting
 * comes first: what Calendly has of the connection is removed with a token that still works.
 */
import type { AccountOptions } from '../accounts/connect.js';
import { disconnectAccount, requireAccount } from '../accounts/connect.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import {
  countUserRows,
  deleteAccount,
  deleteLease,
  removeDeliveries,
  removeMeetings,
  removeUser,
} from '../database/tables/erase-user.js';
import type { UserId } from '../database/user-id.js';
import { type EraseResult, erase } from './erase.js';

export interface EraseUserOptions extends AccountOptions {
  /** `users.id` or e-mail. */
  userId: UserId;
  /** Only counts; writes nothing. */
  dryRun?: boolean | undefined;
}

/** What was removed, or would be. */
export interface EraseUserResult {
  email: string | null;
  /** Meetings of the user. */
  meetings: number;
  /** Of these, rows that stay because the application wrote them or refers to them; without what Calendly said. */
  kept: number;
  /** Stored webhook deliveries. */
  deliveries: number;
  /** The row of `users` was deleted too; it stays if the table is the application's. */
  user: boolean;
  /** What could not be undone at Calendly. */
  problems: string[];
  /** The same person in the meetings of others; null if Calendly did not name their address. */
  elsewhere: EraseResult | null;
}

const BATCH = 500;

/**
 * Removes a user. It can be interrupted and repeated while the account exists; the rows go first.
 * @throws CalendlySyncError `user_unknown`, `schema_not_ready`, `database_*`, `locked`
 */
export async function eraseUser(options: EraseUserOptions): Promise<EraseUserResult> {
  const { database, userId: wanted, dryRun = false, signal } = options;
  const { account, hasSyncState } = await database.transaction(
    async (sql) => ({ ...(await requireSchema(sql)), account: await requireAccount(sql, wanted) }),
    { readOnly: true },
  );
  const { userId, email, id } = account;
  const counts = await database.transaction((sql) => countUserRows(sql, userId, hasSyncState), {
    readOnly: true,
  });
  if (dryRun) return { email, ...counts, kept: 0, user: false, problems: [], elsewhere: null };
  const { problems } = await disconnectAccount({ ...options, userId });
  // Without its row, a sync in progress writes nothing more.
  await persistentTransaction(database, (sql) => deleteLease(sql, id));
  let kept = await removeAll();
  while (hasSyncState && (await deleteDeliveries()) === BATCH) signal?.throwIfAborted();
  await persistentTransaction(database, (sql) => deleteAccount(sql, id));
  const user = kept === 0 && (await persistentTransaction(database, (sql) => removeUser(sql, userId)));
  // It waits for deliveries that had found the account; what they have stored is removed afterwards.
  const elsewhere = email === null ? null : await erase({ database, email, signal });
  kept += await removeAll();
  return { email, ...counts, kept, user, problems, elsewhere };

  async function removeAll(): Promise<number> {
    let kept = 0;
    for (;;) {
      signal?.throwIfAborted();
      const done = await persistentTransaction(database, (sql) => removeMeetings(sql, userId, BATCH));
      kept += done.kept;
      if (done.removed < BATCH) return kept;
    }
  }

  function deleteDeliveries(): Promise<number> {
    return persistentTransaction(database, (sql) => removeDeliveries(sql, account, BATCH));
  }
}
