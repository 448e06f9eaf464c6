/**
 * The lease on an account: of any number of processes on any number of machines, only one syncs it. It is taken
 * with one statement, renewed during the run, and expires two minutes after a crash, or at once if its process is
 * known to be dead on this host. It is a row, not a session lock, so it works through a transaction-mode pooler.
 * Every transaction of a run is fenced: a process that lost its lease, even one that was frozen, writes nothing more.
 */
import { randomUUID } from 'node:crypto';
import type { Database, Sql } from '../database/connection.js';
import { sqlState } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import { type ClaimedAccount, readClaimedAccount } from '../database/tables/accounts.js';
import {
  checkLease,
  type HeldLease,
  LEASE_SECONDS,
  LOCK_TIMEOUT_MS,
  leaseHolder,
  releaseLease,
  renewLease,
  takeLease,
} from '../database/tables/leases.js';
import { recordCrash } from '../database/tables/sync-runs.js';
import { CalendlySyncError } from '../errors.js';
import { isRunning, ownIdentity, type ProcessIdentity, parseIdentity } from '../process-identity.js';

/** A lease that this process holds. */
export interface Lease extends HeldLease {
  /**
   * Runs a transaction that writes something only if this process still holds the lease; retried on transient failures.
   * @throws CalendlySyncError `locked` if the lease is lost
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, lockTimeoutMs?: number): Promise<T>;
  /**
   * Ends the lease, with the error of the run, if any, in one transaction with `work`. If the answer to its commit was
   * lost, `work` does not run a second time.
   * @throws CalendlySyncError `locked` if the lease is lost
   */
  end(error: { code: string; message: string } | null, work: (sql: Sql) => Promise<void>): Promise<void>;
  /** Stops the renewal, and releases the row if `end` did not, without an effect on its error. Does not throw. */
  release(): Promise<void>;
}

const RENEW_MS = (LEASE_SECONDS * 1_000) / 4;
/** A holder that could not renew its lease for so long stops before the lease expires. */
const RENEW_WITHIN_MS = 100_000;

/**
 * Takes the lease of an account, renews it until `release`, and reads what a run needs.
 * @param onLost called with the error once the lease is lost
 * @throws CalendlySyncError `locked`, naming the holder
 */
export async function claimAccount(
  database: Database,
  accountId: string,
  hasSyncState: boolean,
  onLost: (error: CalendlySyncError) => void,
): Promise<{ lease: Lease; claimed: ClaimedAccount }> {
  const owner = JSON.stringify({ run: randomUUID(), ...ownIdentity() });
  const { number, claimed } = await database.transaction(async (sql) => {
    const holder = await leaseHolder(sql, accountId);
    const process = holder ? parseIdentity(holder) : null;
    const dead = process !== null && isRunning(process) === false;
    const number = await takeLease(sql, accountId, owner, dead ? holder : null).catch((error: unknown) => {
      // The holder is writing at this moment, or was frozen while it did.
      if (sqlState(error) === '55P03') return null;
      throw error;
    });
    if (number === null) throw lockedError(process);
    if (holder !== null) await recordCrash(sql, accountId);
    return { number, claimed: await readClaimedAccount(sql, accountId, hasSyncState) };
  });
  return { lease: holdLease(database, { accountId, number }, onLost), claimed };
}

function holdLease(database: Database, held: HeldLease, onLost: (error: CalendlySyncError) => void): Lease {
  let lost: CalendlySyncError | null = null;
  let ended = false;
  let renewing = false;
  let renewedAt = performance.now();
  const lose = (message: string) => {
    lost ??= new CalendlySyncError('locked', message, { hint: AGAIN });
    onLost(lost);
    return lost;
  };
  const checkAge = () => {
    if (performance.now() - renewedAt > RENEW_WITHIN_MS)
      lose('The lease on this account could not be renewed.');
  };
  const renewal = setInterval(async () => {
    checkAge();
    if (lost || renewing) return;
    renewing = true;
    const begun = performance.now();
    try {
      if (await database.transaction((sql) => renewLease(sql, held))) renewedAt = begun;
      else if (!ended) lose(TAKEN_OVER);
    } catch {
      // The database is unreachable: the run notices that itself, and the next renewal tries again.
    } finally {
      renewing = false;
    }
  }, RENEW_MS);
  renewal.unref();

  return {
    ...held,
    transaction(work, lockTimeoutMs = LOCK_TIMEOUT_MS) {
      return persistentTransaction(database, async (sql) => {
        checkAge();
        if (lost) throw lost;
        // Sent ahead of the work: no round trip of its own.
        const fence = checkLease(sql, held, lockTimeoutMs);
        fence.catch(() => {});
        const result = await work(sql).catch(async (error: unknown) => {
          // After a failed fence, every statement of the work fails.
          await fence;
          throw error;
        });
        if (!(await fence)) throw lose(TAKEN_OVER);
        return result;
      });
    },
    async end(error, work) {
      await persistentTransaction(database, async (sql) => {
        if (lost) throw lost;
        const state = await releaseLease(sql, held, error);
        if (state === 'lost') throw lose(TAKEN_OVER);
        if (state === 'released') await work(sql);
      });
      ended = true;
    },
    async release() {
      clearInterval(renewal);
      if (ended || lost) return;
      // If the database is away, the lease expires.
      await database.transaction((sql) => releaseLease(sql, held, 'unknown')).catch(() => {});
    },
  };
}

const AGAIN = 'Run the same command again later.';
const TAKEN_OVER = 'Another process took this account over.';

function lockedError(process: ProcessIdentity | null): CalendlySyncError {
  const who = process ? `process ${process.pid} on ${process.host}` : 'another process';
  return new CalendlySyncError('locked', `This account is being synced right now by ${who}.`, {
    hint: AGAIN,
  });
}
