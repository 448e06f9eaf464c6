/**
 * Commits deliveries in batches, one transaction per batch. If one delivery makes its batch fail, each is retried
 * alone. A delivery that the database refuses is stored with the error; if even that fails, the sender gets a 503 and
 * retries.
 */
import type { Database } from '../../database/connection.js';
import { isLostRace, isRefusedRow, sqlState, violatedTable } from '../../database/errors.js';
import { findUsersByUris } from '../../database/tables/accounts.js';
import { adoptMeetings } from '../../database/tables/adopt-meetings.js';
import { type CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { type DeliveryResult, recordAndApply, recordFailed } from './apply-deliveries.js';
import type { Delivery } from './delivery.js';
import { createGroupCommit } from './group-commit.js';

export interface CommitQueue {
  /** Resolves after the commit. @throws CalendlySyncError when nothing could be stored */
  enqueue(delivery: Delivery): Promise<DeliveryResult>;
  /** Deliveries that wait for their commit. */
  size(): number;
  /** Resolves when no delivery waits. */
  idle(): Promise<void>;
}

/** Larger batches save nothing and hold their locks longer. */
const MAX_BATCH = 64;
/** Transactions at once, for when one waits for a lock or a slow disk. */
const MAX_CONCURRENT = 3;
const SLOW_AFTER_MS = 20;
const LINGER_MS = 4;
/**
 * Attempts of a transaction that a deadlock or another transaction aborts; each time, that other one has been
 * committed.
 */
const MAX_ATTEMPTS = 5;
/** How often a batch is looked at again because its meetings stand in `meetings` already. */
const MAX_LOOKS = 3;

export function createCommitQueue(database: Database): CommitQueue {
  const commits = createGroupCommit<Delivery, Committed>({
    maxBatch: MAX_BATCH,
    maxConcurrent: database.kind === 'embedded' ? 1 : MAX_CONCURRENT,
    lingerMs: LINGER_MS,
    slowAfterMs: SLOW_AFTER_MS,
    run: (batch) => commit(database, batch),
  });
  return {
    async enqueue(delivery) {
      const committed = await commits.add(delivery);
      if ('failure' in committed) throw committed.failure;
      return committed.result;
    },
    size: commits.size,
    idle: commits.idle,
  };
}

type Committed = { result: DeliveryResult } | { failure: CalendlySyncError };

async function commit(database: Database, batch: Delivery[], looks = MAX_LOOKS): Promise<Committed[]> {
  try {
    const results = await retryConflicts(() => database.transaction((sql) => recordAndApply(sql, batch)));
    return results.map((result) => ({ result }));
  } catch (error) {
    const [only] = batch;
    if (looks > 0 && violatedTable(error) === 'meetings') {
      await adoptForHosts(database, batch);
      return commit(database, batch, looks - 1);
    }
    if (!isDeliverySpecific(error)) return batch.map(() => ({ failure: toCalendlySyncError(error) }));
    if (batch.length === 1 && only) return [await storeFailed(database, only, error)];
    const committed: Committed[] = [];
    for (const delivery of batch) committed.push(...(await commit(database, [delivery], looks)));
    return committed;
  }
}

/** After an insert met a unique key of `meetings`: its application may have inserted the same meetings itself. */
async function adoptForHosts(database: Database, batch: Delivery[]): Promise<void> {
  try {
    const hosts = batch.flatMap(({ change }) => change?.hosts ?? []);
    const users = await database.transaction((sql) => findUsersByUris(sql, hosts));
    for (const userId of new Set(users.values())) await adoptMeetings(database, { userId });
  } catch {
    // The next attempt to write reports what is wrong.
  }
}

/** Stores a refused delivery with the error, so that `webhook replay` can apply it once the cause is fixed. */
async function storeFailed(database: Database, delivery: Delivery, cause: unknown): Promise<Committed> {
  const { message } = toCalendlySyncError(cause);
  for (const asText of [false, true]) {
    try {
      const store = () => database.transaction((sql) => recordFailed(sql, delivery, message, asText));
      return { result: await retryConflicts(store) };
    } catch (error) {
      if (!isDeliverySpecific(error)) return { failure: toCalendlySyncError(error) };
    }
  }
  return { failure: toCalendlySyncError(cause) };
}

/** Retries after a conflict with another transaction only: while the database is down, the sender must retry. */
async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isConflict(error)) throw error;
    }
  }
}

function isConflict(error: unknown): boolean {
  return isLostRace(error) || ['40001', '40P01'].includes(sqlState(error));
}

/** True for an error that one delivery can cause, and that its batch may not have without it. */
function isDeliverySpecific(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || isRefusedRow(error);
}
