/** The sync of `webhook serve --sync-every`. Several services on one database share it: each account is synced by one. */
import type { Database } from '../../database/connection.js';
import { countLeases } from '../../database/tables/leases.js';
import { syncAccounts } from '../../sync/accounts.js';
import type { CommandContext } from '../command.js';
import { MAX_EVERY_MS } from '../sync/many.js';
import { showAccounts, showSync } from '../sync/output.js';

/** Creates the task. It syncs accounts as they are due until it is stopped, or until an error that concerns all. */
export function createBackupSync(
  { config, output }: CommandContext,
  database: Database,
  everyMs: number,
): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const several = (await database.transaction(countLeases, { readOnly: true })) > 1;
    const shown = await showSync(output, false, several);
    const { onAccount } = showAccounts(output, several);
    const maxEveryMs = several ? Math.max(everyMs, MAX_EVERY_MS) : everyMs;
    const options = { config, database, signal, onEvent: shown.onEvent, onAccount };
    await syncAccounts(options, { everyMs, maxEveryMs }).finally(shown.close);
  };
}
