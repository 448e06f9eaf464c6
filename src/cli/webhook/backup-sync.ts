/** The sync of `webhook serve --sync-every`. Several services on one database share it: one syncs, the others skip. */
import { fingerprintOf } from '../../accounts/resolve.js';
import type { Database } from '../../database/connection.js';
import { lastSyncOf } from '../../database/tables/users.js';
import { requireToken } from '../../sync/options.js';
import { sync } from '../../sync/sync.js';
import type { CommandContext } from '../command.js';
import { showSync, syncResult } from '../sync/output.js';

/** Creates the task. It syncs unless another process does, or did within the last `everyMs`. */
export function createBackupSync(
  { config, output }: CommandContext,
  database: Database,
  everyMs: number,
): (signal: AbortSignal) => Promise<void> {
  /** The end of this process's own last sync, by the database's clock. */
  let own: number | null = null;
  const lastSync = (token: string) =>
    database.transaction((sql) => lastSyncOf(sql, fingerprintOf(token)), { readOnly: true });

  return async (signal) => {
    const token = requireToken(config);
    const before = await lastSync(token);
    if (before && before.at.getTime() !== own && before.ageMs < everyMs) return;
    const shown = await showSync(output, false);
    try {
      const result = await sync({ config, database, signal, onEvent: shown.onEvent });
      shown.close();
      if (result.users.every(({ error }) => error?.code === 'locked')) return;
      syncResult(output, result);
    } finally {
      shown.close();
    }
    own = (await lastSync(token))?.at.getTime() ?? null;
  };
}
