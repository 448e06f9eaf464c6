/**
 * The lease on an account: of any number of processes on any number of machines, one works on it. Taken with one UPDATE, renewed
 * while the work goes on, expired two minutes after a crash, or at once when its process is known to be dead on this host. It
 * holds through a transaction-mode pooler, because it is a row and no session lock.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '../database/connection.js';
import { LEASE_SECONDS, leaseHolder, renewLease, takeLease } from '../database/tables/accounts.js';
import { CalendlySyncError } from '../errors.js';
import { isRunning, ownIdentity, type ProcessIdentity, parseIdentity } from '../process-identity.js';

/** A lease that this process holds. */
export interface Lease {
  /** What stands in `lease_owner`. */
  readonly owner: string;
  /** Aborted when the lease was lost: nothing more may be recorded under it. */
  readonly lost: AbortSignal;
  /** Ends the renewing. The row is given back by the transaction that ends the run. */
  stop(): void;
}

const RENEW_MS = (LEASE_SECONDS * 1_000) / 4;

/**
 * Takes the lease of an account.
 * @throws CalendlySyncError `locked`, naming the holder
 */
export async function claimAccount(database: Database, accountId: string): Promise<Lease> {
  const owner = JSON.stringify({ run: randomUUID(), ...ownIdentity() });
  await database.transaction(async (sql) => {
    const holder = await leaseHolder(sql, accountId);
    const process = holder ? readOwner(holder) : null;
    const dead = process !== null && isRunning(process) === false;
    if (await takeLease(sql, accountId, owner, dead ? holder : null)) return;
    throw heldElsewhere(process);
  });
  const lost = new AbortController();
  const renewal = setInterval(async () => {
    try {
      const kept = await database.transaction((sql) => renewLease(sql, accountId, owner));
      if (!kept)
        lost.abort(
          new CalendlySyncError('locked', 'Another process took this account over.', { hint: AGAIN }),
        );
    } catch {
      // The database is away for a moment: the work itself will notice, and the next renewal tries again.
    }
  }, RENEW_MS);
  renewal.unref();
  return { owner, lost: lost.signal, stop: () => clearInterval(renewal) };
}

const AGAIN = 'Run the same command again later.';

function heldElsewhere(process: ProcessIdentity | null): CalendlySyncError {
  const who = process ? `process ${process.pid} on ${process.host}` : 'another process';
  return new CalendlySyncError('locked', `This account is being synced right now by ${who}.`, {
    hint: AGAIN,
  });
}

function readOwner(text: string): ProcessIdentity | null {
  try {
    return parseIdentity(JSON.parse(text));
  } catch {
    return null;
  }
}
