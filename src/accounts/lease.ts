/**
 * The lease on an account: of any number of processes on any number of machines, only one syncs it. It is taken
 * with one statement, renewed during the run, and expires two minutes after a crash, or at once if its process is
 * known to be dead on this host. It is a row, not a session lock, so it works through a transaction-mode pooler.
 * Every transaction of a run is fenced: a process that lost its lease, even one that was frozen, writes nothing more.
 */
import { randomUUID } from 'node:crypto';
import type { Database, Sql } from '../database/connection.js';
import { persistentQuery, persistentTransaction } from '../database/retry.js';
import {
  type Choice,
  type Claim,
  type ClaimRow,
  checkLease,
  claimLeases,
  createLease,
  endFrozenSessions,
  expireLeases,
  type HeldLease,
  LEASE_SECONDS,
  LOCK_TIMEOUT_MS,
  leaseHolders,
  renewLease,
} from '../database/tables/leases.js';
import { endRun, type RunEnd } from '../database/tables/sync-runs.js';
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
   * Records the run and ends the lease: all or nothing, and once, even if the answer of the database was lost.
   * @throws CalendlySyncError `locked` if the lease is lost
   */
  end(run: RunEnd): Promise<void>;
  /** Stops the renewal, and releases the row if `end` did not. Does not throw. */
  release(): Promise<void>;
}

/** A claimed account and the lease on it. */
export interface Claimed {
  lease: Lease;
  claimed: Claim;
}

const RENEW_MS = (LEASE_SECONDS * 1_000) / 4;
/** A holder that could not renew its lease for so long stops before the lease expires. */
const RENEW_WITHIN_MS = 100_000;

/**
 * Takes the lease of one account, renews it until `release`, and reads what a run needs.
 * @param onLost called with the error once the lease is lost
 * @throws CalendlySyncError `locked`, naming the holder
 */
export async function claimAccount(
  database: Database,
  accountId: string,
  hasSyncState: boolean,
  onLost: (error: CalendlySyncError) => void,
): Promise<Claimed> {
  let [claim] = await claimAccounts(database, { accountIds: [accountId] }, hasSyncState);
  let holder: string | null = null;
  if (!claim) {
    holder = await database.transaction(async (sql) => {
      await createLease(sql, accountId);
      await endFrozenSessions(sql);
      return (await leaseHolders(sql, accountId))[0] ?? null;
    });
    const deadOwner = holder !== null && isDead(holder) ? holder : null;
    [claim] = await claimAccounts(database, { accountIds: [accountId], deadOwner }, hasSyncState);
  }
  if (!claim) throw lockedError(holder);
  return { lease: holdLease(database, { accountId, number: claim.number }, onLost), claimed: claim };
}

/** Takes accounts. Their leases are held with `holdLease`, before anything else is awaited. */
export async function claimAccounts(
  database: Database,
  choice: Choice,
  hasSyncState: boolean,
): Promise<Claim[]> {
  const rows = await database.query((sql) => claimLeases(sql, owner(), choice, hasSyncState));
  return rows.map(toClaim);
}

/** Ends the leases of processes of this host that are known to be dead: their accounts need not wait. */
export async function releaseDead(database: Database): Promise<void> {
  await database.transaction(async (sql) => {
    await endFrozenSessions(sql);
    const holders = await leaseHolders(sql, null);
    await expireLeases(sql, holders.filter(isDead));
  });
}

let identity: ProcessIdentity | undefined;

function owner(): string {
  // On some systems it takes a process of its own to find out.
  identity ??= ownIdentity();
  return JSON.stringify({ run: randomUUID(), ...identity });
}

function isDead(holder: string): boolean {
  const process = parseIdentity(holder);
  return process !== null && isRunning(process) === false;
}

function toClaim(row: ClaimRow): Claim {
  const { initialComplete, pending, hasDue, now, number, everyS, dueAt, isFirst, previousRunAt, ...rest } =
    row;
  const { accountId, state, kind, access, refresh, validMs, generation, ...account } = rest;
  const { calendlyUri } = account;
  const tokens = accountId && { accountId, calendlyUri, state, kind, access, refresh, validMs, generation };
  const held = { number, everyS, dueAt, isFirst, previousRunAt, tokens: tokens || null };
  return { account, initialComplete, pending, hasDue, now, ...held };
}

/** Renews a lease that was just taken, until `release`. */
export function holdLease(
  database: Database,
  held: HeldLease,
  onLost: (error: CalendlySyncError) => void,
): Lease {
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
    async end(run) {
      if (lost) throw lost;
      const [row] = await persistentQuery(database, (sql) => endRun(sql, held, run));
      // Not released, but mine: a first attempt did it.
      if (!row?.released && !row?.mine) throw lose(TAKEN_OVER);
      ended = true;
    },
    async release() {
      clearInterval(renewal);
      if (ended || lost) return;
      // If the database is away, the lease expires.
      await database.query((sql) => endRun(sql, held, null)).catch(() => {});
    },
  };
}

const AGAIN = 'Run the same command again later.';
const TAKEN_OVER = 'Another process took this account over.';

/** Another process holds an account. @param owner what its lease says of that process */
export function lockedError(owner: string | null): CalendlySyncError {
  const process = owner === null ? null : parseIdentity(owner);
  const who = process ? `process ${process.pid} on ${process.host}` : 'another process';
  return new CalendlySyncError('locked', `This account is being synced right now by ${who}.`, {
    hint: AGAIN,
  });
}
