/**
 * Commits deliveries in batches, one transaction per batch. If one delivery makes its batch fail, the batch is split
 * until that one is alone; each delivery is answered when its own transaction is committed. A delivery that the
 * database refuses is stored with the error. One that waits for a lock is stored, to be applied later. If nothing can
 * be stored, the sender gets a 503 and retries.
 */
import type { Database, WaitLimits } from '../../database/connection.js';
import {
  isLostRace,
  isRefusedRow,
  isSessionLost,
  isWaitTimeout,
  sqlState,
  violatedTable,
} from '../../database/errors.js';
import { findUsersByUris } from '../../database/tables/accounts.js';
import { adoptMeetings } from '../../database/tables/adopt-meetings.js';
import { toCalendlySyncError } from '../../errors.js';
import { createLane, type Lane } from '../../lane.js';
import {
  type DeliveryResult,
  recordAndApply,
  recordBookings,
  recordPending,
  resultOf,
} from './apply-deliveries.js';
import type { Delivery } from './delivery.js';
import { createGroupCommit, type Entry } from './group-commit.js';
import type { LockWaiters } from './lock-waiters.js';
import { type BookingDelivery, newBookingOf } from './new-booking.js';
import { createWaker } from './waker.js';

export interface CommitQueue {
  /**
   * Resolves after the commit. A delivery that is already in the queue is not queued a second time.
   * @throws CalendlySyncError when nothing could be stored
   */
  enqueue(delivery: Delivery): Promise<DeliveryResult>;
  /** Deliveries that wait for their commit. */
  size(): number;
  /** Resolves when no delivery waits. */
  idle(): Promise<void>;
}

/** Larger batches save nothing and hold their locks longer. */
const MAX_BATCH = 64;
/** Batches at once, of new bookings and of all other deliveries. */
const MAX_CONCURRENT = 2;
/**
 * Attempts of a transaction that a deadlock or another transaction aborts; each time, that other one has been
 * committed.
 */
const MAX_ATTEMPTS = 5;
/** How often a batch is looked at again because its meetings stand in `meetings` already. */
const MAX_LOOKS = 3;

/** Of new bookings: those that would wait take the general path, where the others do not wait with them. */
const BOOKING_LIMITS: WaitLimits = { lockMs: 200, statementMs: 4_000 };
const BATCH_LIMITS: WaitLimits = { lockMs: 1_000, statementMs: 8_000 };
/** Of a batch that has waited before: short, because the other half may be held up by the same lock. */
const PART_LIMITS: WaitLimits = { lockMs: 100, statementMs: 2_000 };
/** Transactions at once for the parts of split batches: both halves of one. */
const MAX_PARTS = 2;
/** How long a transaction may take, in ms. Less than its sender waits, so that the answer is certain. */
const DEADLINE = { deadlineMs: 10_000 };

/** How a batch is attempted. */
interface Attempt {
  limits: WaitLimits;
  /** Where its transactions take their turn. */
  lane: Lane;
  looks: number;
}

type Batch = Entry<Delivery, DeliveryResult>[];

export interface CommitOptions {
  database: Database;
  /** Locks that are known to be held: what needs one of them is stored without being attempted. */
  waiters: LockWaiters;
  discardUnmatched: boolean;
}

export function createCommitQueue(options: CommitOptions): CommitQueue {
  const { database, waiters, discardUnmatched } = options;
  const parts = createLane(MAX_PARTS);
  /** One at a time: whatever is locked, the others keep their connections. */
  const locked = createLane(1);
  const wake = createWaker(database);
  const pending = new Map<string, Promise<DeliveryResult>>();
  const sizes = { maxBatch: MAX_BATCH, maxConcurrent: database.kind === 'embedded' ? 1 : MAX_CONCURRENT };
  const addBooking = createGroupCommit<BookingDelivery, DeliveryResult>({ ...sizes, run: commitBookings });
  const add = createGroupCommit<Delivery, DeliveryResult>({
    ...sizes,
    run(batch) {
      // While something is locked, more may be.
      const limits = waiters.any() ? { ...BATCH_LIMITS, lockMs: PART_LIMITS.lockMs } : BATCH_LIMITS;
      return commit(batch, { limits, lane: (work) => work(), looks: MAX_LOOKS });
    },
  });

  /** Stores new bookings in one statement. What it declines, or fails for, takes the general path. */
  async function commitBookings(batch: Entry<BookingDelivery, DeliveryResult>[]): Promise<void> {
    let results: (DeliveryResult | null)[] = [];
    try {
      results = await recordBookings(
        database,
        batch.map(({ item }) => item),
        { limits: BOOKING_LIMITS, ...DEADLINE },
      );
    } catch (error) {
      if (sqlState(error) === 'CONNECTION_TIMEOUT') throw toCalendlySyncError(error);
    }
    wake(batch.flatMap(({ item }, index) => (results[index] ? item.delivery : [])));
    for (const [index, { item, resolve, reject }] of batch.entries()) {
      const result = results[index];
      if (result) resolve(result);
      else add(item.delivery).then(resolve, reject);
    }
  }

  async function commit(batch: Batch, attempt: Attempt): Promise<void> {
    let free = batch;
    try {
      const results = await attempt.lane(async () => {
        free = withoutLocked(batch);
        return free.length === 0 ? [] : record(free, attempt.limits);
      });
      for (const [index, { resolve }] of free.entries()) resolve(results[index] as DeliveryResult);
    } catch (error) {
      await recover(free, attempt, error);
    }
  }

  async function record(batch: Batch, limits: WaitLimits): Promise<DeliveryResult[]> {
    const deliveries = batch.map(({ item }) => item);
    const results = await persist(() =>
      database.transaction((sql) => recordAndApply(sql, deliveries, discardUnmatched), {
        limits,
        ...DEADLINE,
      }),
    );
    wake(deliveries);
    return results;
  }

  /** Those that need a lock for which others wait already wait with them. */
  function withoutLocked(batch: Batch): Batch {
    if (!waiters.any()) return batch;
    const blocked = batch.filter(({ item }) => waiters.blocks(item));
    if (blocked.length > 0) void storeWaiting(blocked);
    return batch.filter((entry) => !blocked.includes(entry));
  }

  async function recover(batch: Batch, attempt: Attempt, error: unknown): Promise<void> {
    const [only] = batch;
    if (attempt.looks > 0 && violatedTable(error) === 'meetings') {
      await adoptForHosts(database, batch);
      return commit(batch, { ...attempt, looks: attempt.looks - 1 });
    }
    if (!isDeliverySpecific(error) && !isWaitTimeout(error)) return rejectAll(batch, error);
    if (batch.length > 1) return split(batch, attempt);
    if (!only) return;
    if (!isWaitTimeout(error)) return storeFailed(database, only, attempt, error);
    waiters.add(only.item, error);
    // Not awaited: the next batch starts meanwhile.
    void storeWaiting(batch);
  }

  async function split(batch: Batch, attempt: Attempt): Promise<void> {
    const middle = Math.ceil(batch.length / 2);
    const part = { ...attempt, limits: PART_LIMITS, lane: parts };
    await Promise.all([commit(batch.slice(0, middle), part), commit(batch.slice(middle), part)]);
  }

  /** Stores deliveries that wait for a lock. */
  async function storeWaiting(batch: Batch): Promise<void> {
    const deliveries = batch.map(({ item }) => item);
    const store = () =>
      database.transaction((sql) => recordPending(sql, deliveries, { waitsFor: 'a lock' }), {
        limits: BATCH_LIMITS,
        ...DEADLINE,
      });
    try {
      const results = await locked(() => persist(store));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as DeliveryResult);
    } catch (error) {
      if (batch.length > 1) await Promise.all(batch.map((entry) => storeWaiting([entry])));
      else if (isDeliverySpecific(error) && batch[0]) {
        await storeFailed(database, batch[0], { limits: BATCH_LIMITS, lane: locked }, error);
      } else rejectAll(batch, error);
    }
  }

  return {
    async enqueue(delivery) {
      const { eventId } = delivery;
      const first = pending.get(eventId);
      if (first) return first.then(() => resultOf(delivery, 'duplicate'));
      const booking = waiters.blocks(delivery) ? null : newBookingOf(delivery);
      const stored = booking ? addBooking(booking) : add(delivery);
      const result = stored.finally(() => pending.delete(eventId));
      pending.set(eventId, result);
      return result;
    },
    size: () => pending.size,
    async idle() {
      while (pending.size > 0) await Promise.allSettled(pending.values());
    },
  };
}

function rejectAll(batch: Batch, error: unknown): void {
  for (const { reject } of batch) reject(toCalendlySyncError(error));
}

/** After an insert met a unique key of `meetings`: its application may have inserted the same meetings itself. */
async function adoptForHosts(database: Database, batch: Batch): Promise<void> {
  try {
    const hosts = batch.flatMap(({ item }) => item.change?.hosts ?? []);
    const users = await database.transaction((sql) => findUsersByUris(sql, hosts), DEADLINE);
    for (const userId of new Set(users.values())) await adoptMeetings(database, { userId });
  } catch {
    // The next attempt to write reports what is wrong.
  }
}

/** Stores a refused delivery with the error, so that `webhook replay` can apply it once the cause is fixed. */
async function storeFailed(
  database: Database,
  { item, resolve, reject }: Batch[number],
  { lane, limits }: Pick<Attempt, 'lane' | 'limits'>,
  cause: unknown,
): Promise<void> {
  const { message } = toCalendlySyncError(cause);
  for (const asText of [false, true]) {
    try {
      const store = () =>
        database.transaction((sql) => recordPending(sql, [item], { error: message }, asText), {
          limits,
          ...DEADLINE,
        });
      const [result] = await lane(() => persist(store));
      return resolve(result as DeliveryResult);
    } catch (error) {
      if (!isDeliverySpecific(error)) return reject(toCalendlySyncError(error));
    }
  }
  reject(toCalendlySyncError(cause));
}

/**
 * Retries after a conflict with another transaction, and once in a new session if the old one was lost: the ledger
 * tells what that has committed. While the database is down, the sender must retry.
 */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  let sessionLost = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const retriable = isConflict(error) || (isSessionLost(error) && !sessionLost);
      if (attempt >= MAX_ATTEMPTS || !retriable) throw error;
      sessionLost ||= isSessionLost(error);
    }
  }
}

function isConflict(error: unknown): boolean {
  return isLostRace(error) || ['40001', '40P01'].includes(sqlState(error));
}

/** True for an error that one delivery can cause, and that its batch may not have without it. */
export function isDeliverySpecific(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || isRefusedRow(error);
}
