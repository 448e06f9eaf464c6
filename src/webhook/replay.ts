/**
 * Applies stored deliveries that could not be applied before: their host is connected now, the lock is gone, or the
 * cause of the error is fixed. In batches; a batch that fails is split, so that one delivery stops no other.
 */
import { parseJson } from '../calendly/json.js';
import { readBlocker } from '../database/blockers.js';
import type { Database, Sql, WaitLimits } from '../database/connection.js';
import { isWaitTimeout } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import {
  lockPendingEvents,
  type Pending,
  type PendingEvent,
  settleEvents,
} from '../database/tables/webhook-events.js';
import { toCalendlySyncError } from '../errors.js';
import { type DeliveryResult, reapply } from './receiver/apply-deliveries.js';
import { isDeliverySpecific } from './receiver/commit.js';
import { type Delivery, parseDelivery } from './receiver/delivery.js';
import { createLockWaiters, type LockWaiters } from './receiver/lock-waiters.js';

export interface ReplayResult {
  applied: number;
  /** Still waiting for a lock. */
  waiting: number;
  failed: { event_id: string; error: string }[];
}

export interface ReplayOptions {
  database: Database;
  /** Default: all. */
  which?: Pending;
  /** When aborted, what has been applied stays applied. */
  signal?: AbortSignal | undefined;
  /** Called for each delivery that was applied. */
  onApplied?: (result: DeliveryResult) => void;
  /** Called for a delivery that needs a lock that is held. */
  onWaiting?: (delivery: Delivery, error: unknown) => void;
}

const MAX_BATCH = 100;
/** Others may wait for the same lock behind us, so that we wait only for a moment. */
const LIMITS: WaitLimits = { lockMs: 300, statementMs: 8_000 };
const LOOK_FOR_BLOCKER_AFTER_MS = 150;
/** Of one transaction: its connection may have been swallowed. */
const DEADLINE = { deadlineMs: 15_000 };

/** Applies stored deliveries. Needs migration 022. */
export async function replayWebhookEvents(options: ReplayOptions): Promise<ReplayResult> {
  const { which = 'all', signal, onApplied } = options;
  // What needs a lock that another one has met is not attempted.
  const waiters = createLockWaiters();
  const total: ReplayResult = { applied: 0, waiting: 0, failed: [] };
  // What waits probably waits for one lock: the first one shows it.
  let size = which === 'waiting' ? 1 : MAX_BATCH;
  for (let after = ''; !signal?.aborted; size = Math.min(MAX_BATCH, size * 2)) {
    const replayed = await replayBatch({ ...options, which, waiters }, after, size);
    for (const { eventId, result, error } of replayed) {
      if (error !== null) total.failed.push({ event_id: eventId, error });
      else if (result === null) total.waiting++;
      else if (result.status === 'applied' || result.status === 'ignored') {
        total.applied++;
        onApplied?.(result);
      }
    }
    const last = replayed.at(-1);
    if (!last) break;
    after = last.eventId;
  }
  return total;
}

/** What became of one delivery. Without result and error it still waits for a lock. */
interface Replayed {
  eventId: string;
  result: DeliveryResult | null;
  error: string | null;
}

interface BatchOptions extends ReplayOptions {
  which: Pending;
  waiters: LockWaiters;
}

async function replayBatch(options: BatchOptions, after: string, size: number): Promise<Replayed[]> {
  const { database, which, waiters, signal } = options;
  let events: PendingEvent[] = [];
  const blocker = watchForBlocker(database);
  try {
    const work = async (sql: Sql) => {
      if (size === 1) await blocker.watch(sql);
      [events] = await Promise.all([lockPendingEvents(sql, which, after, size), sql.begun]);
      return apply(sql, events, waiters);
    };
    return await persistentTransaction(database, work, signal, { limits: LIMITS, ...DEADLINE });
  } catch (error) {
    const [only] = events;
    if (!only || !(isDeliverySpecific(error) || isWaitTimeout(error))) throw error;
    if (events.length === 1) return [await setAside(options, only, error, await blocker.found())];
    const half = Math.ceil(size / 2);
    const first = await replayBatch(options, after, half);
    return [...first, ...(await replayBatch(options, first.at(-1)?.eventId ?? after, size - half))];
  } finally {
    blocker.stop();
  }
}

async function apply(sql: Sql, events: PendingEvent[], waiters: LockWaiters): Promise<Replayed[]> {
  const deliveries = events.map(parseStored);
  const results = await reapply(
    sql,
    deliveries.filter((delivery) => !waiters.blocks(delivery)),
  );
  const byId = new Map(results.map((result) => [result.delivery.eventId, result]));
  return events.map(({ event_id: eventId }) => {
    const result = byId.get(eventId) ?? null;
    return { eventId, result, error: result?.error ?? null };
  });
}

/** Records why a delivery could not be applied this time either. */
async function setAside(
  { database, waiters, signal, onWaiting }: BatchOptions,
  event: PendingEvent,
  cause: unknown,
  blocker: string | null,
): Promise<Replayed> {
  const { event_id: eventId } = event;
  const waits = isWaitTimeout(cause);
  if (waits) {
    const delivery = parseStored(event);
    waiters.add(delivery, cause);
    onWaiting?.(delivery, cause);
  }
  const error = waits ? null : toCalendlySyncError(cause).message;
  const waitsFor = waits ? (blocker ?? 'a lock') : null;
  const settlement = { eventId, userId: null, processed: false, error, waitsFor, hosts: null };
  await persistentTransaction(database, (sql) => settleEvents(sql, [settlement]), signal, DEADLINE);
  return { eventId, result: null, error };
}

/** Looks who blocks a transaction, if it takes long. */
function watchForBlocker(database: Database) {
  let timer: NodeJS.Timeout | undefined;
  let found: Promise<string | null> = Promise.resolve(null);
  return {
    async watch(sql: Sql) {
      const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      timer = setTimeout(() => {
        found = database
          .transaction((other) => readBlocker(other, row?.pid ?? 0), { readOnly: true, ...DEADLINE })
          .catch(() => null);
      }, LOOK_FOR_BLOCKER_AFTER_MS);
    },
    found: () => found,
    stop: () => clearTimeout(timer),
  };
}

function parseStored({ event_id: eventId, payload }: PendingEvent): Delivery {
  const stored = parseJson(payload);
  const text = typeof stored === 'string' ? stored : payload;
  const delivery = parseDelivery(text === stored ? parseJson(text) : stored, text);
  if (delivery === null) throw new TypeError('the stored payload is not a webhook delivery');
  // The stored id stays, even if this version would derive another one.
  return { ...delivery, eventId };
}
