/**
 * The syncs that run now, which a migration must not pull the tables away from. Knows the leases, not what a sync
 * does.
 */
import { isRunning, parseIdentity } from '../process-identity.js';
import type { HistoryRow } from './history.js';
import { type Locked, SyncRunningError } from './lock.js';
import type { Catalog } from './schema/catalog.js';

/**
 * Shuts out syncs until the transaction ends, and makes sure that none is running: a claim and the fence of each write
 * wait for the lock on the leases.
 * @throws SyncRunningError
 */
export async function shutOutSyncs(
  { query }: Locked,
  { tables }: Catalog,
  history: readonly HistoryRow[] | null,
): Promise<void> {
  const leases = tables.calendly_leases?.name;
  if (!leases || !history?.some(({ made }) => 'table calendly_leases' in made)) return;
  const [, held] = await Promise.all([
    query(`lock table ${leases} in access exclusive mode`),
    query<{ holder: string }>(
      `select lease_owner as holder from ${leases} where lease_owner is not null and lease_until > clock_timestamp()`,
    ),
  ]);
  for (const { holder } of held) {
    const process = parseIdentity(holder);
    // Killed on this host: nobody is there to write.
    if (process && isRunning(process) === false) continue;
    throw new SyncRunningError(process ? `process ${process.pid} on ${process.host}` : 'another process');
  }
}
