/**
 * The lease on an account: of any number of processes on any number of machines, only one syncs it. It is taken
 * with one statement, renewed during the run, and expires two minutes after a crash, or at once if its process is
 * known to be dead on this host. It is a row, not a session lock, so it works through a transaction-mode pooler.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '../database/connection.js';
import {
  type HeldLease,
  LEASE_SECONDS,
  leaseHolder,
  renewLease,
  takeLease,
} from '../database/tables/leases.js';
import { CalendlySyncError } from '../errors.js';
import { isRunning, ownIdentity, type ProcessIdentity, parseIdentity } from '../process-identity.js';

/** A lease that this process holds. */
export interface Lease extends HeldLease {
  /** Stops the renewal. The transaction that ends the run releases the row. */
  stop(): void;
}

const RENEW_MS = (LEASE_SECONDS * 1_000) / 4;

/**
 * Takes the lease of an account and renews it until `stop` is called.
 * @param onLost called with the error once another process has taken the lease: nothing more may be recorded under it
 * @throws CalendlySyncError `locked`, naming the holder
 */
export async function claimAccount(
  database: Database,
  accountId: string,
  onLost: (error: CalendlySyncError) => void,
): Promise<Lease> {
  const owner = JSON.stringify({ run: randomUUID(), ...ownIdentity() });
  const number = await database.transaction(async (sql) => {
    const holder = await leaseHolder(sql, accountId);
    const process = holder ? parseIdentity(holder) : null;
    const dead = process !== null && isRunning(process) === false;
    const taken = await takeLease(sql, accountId, owner, dead ? holder : null);
    if (taken === null) throw lockedError(process);
    return taken;
  });
  const held = { accountId, number };
  const renewal = setInterval(async () => {
    try {
      const kept = await database.transaction((sql) => renewLease(sql, held));
      if (kept) return;
      onLost(new CalendlySyncError('locked', 'Another process took this account over.', { hint: AGAIN }));
    } catch {
      // The database is unreachable: the run notices that itself, and the next renewal tries again.
    }
  }, RENEW_MS);
  renewal.unref();
  return { ...held, stop: () => clearInterval(renewal) };
}

const AGAIN = 'Run the same command again later.';

function lockedError(process: ProcessIdentity | null): CalendlySyncError {
  const who = process ? `process ${process.pid} on ${process.host}` : 'another process';
  return new CalendlySyncError('locked', `This account is being synced right now by ${who}.`, {
    hint: AGAIN,
  });
}
