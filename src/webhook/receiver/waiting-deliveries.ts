/**
 * Applies the deliveries that were stored because they needed a lock, as soon as it is gone: those of this receiver
 * and, now and then, those that another one has left. Knows no HTTP.
 */
import type { Database } from '../../database/connection.js';
import { replayWebhookEvents } from '../replay.js';
import type { DeliveryResult } from './apply-deliveries.js';
import type { LockWaiters } from './lock-waiters.js';

export interface WaitingDeliveries {
  /** A delivery was stored; some may wait for a lock. */
  onStored(): void;
  /** Stops; what waits stays stored. Not waited for: the database waits for its transaction. */
  close(): void;
}

/** The first pause after a delivery was stored that waits; each further one is twice as long. */
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
const FIRST_LOOK_MS = 5_000;
const LOOK_EVERY_MS = 60_000;

export function createWaitingDeliveries(
  database: Database,
  waiters: LockWaiters,
  onApplied: (result: DeliveryResult) => void,
): WaitingDeliveries {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  let pauseMs = MIN_PAUSE_MS;
  let lookedAt = performance.now();

  async function look(): Promise<void> {
    lookedAt = performance.now();
    const forget = waiters.startOver();
    const { signal } = stop;
    try {
      await replayWebhookEvents({ database, which: 'waiting', signal, onApplied, onWaiting: waiters.add });
      forget();
    } catch {
      // The database is down, which is reported elsewhere.
    }
    running = false;
    pauseMs = waiters.any() ? Math.min(pauseMs * 2, MAX_PAUSE_MS) : MIN_PAUSE_MS;
    if (waiters.any()) schedule(pauseMs);
  }

  function schedule(ms: number): void {
    if (timer !== undefined || running || stop.signal.aborted) return;
    timer = setTimeout(() => {
      timer = undefined;
      running = true;
      void look();
    }, ms).unref();
  }

  schedule(FIRST_LOOK_MS);
  return {
    onStored() {
      if (waiters.any()) schedule(pauseMs);
      else if (performance.now() - lookedAt > LOOK_EVERY_MS) schedule(0);
    },
    close() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}
