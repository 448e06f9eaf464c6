/**
 * Which deliveries wait for a lock that another transaction holds: whatever needs the same one joins them instead of
 * holding up others. Pure.
 */
import { rowLockTable } from '../../database/errors.js';
import type { Delivery } from './delivery.js';

export interface LockWaiters {
  /** Adds a delivery that met this error; the returned function removes it. */
  join(delivery: Delivery, error: unknown): () => void;
  /** The error of a delivery that waits for something that this one needs, too; null if there is none. */
  errorFor(delivery: Delivery): unknown;
  /** Whether any delivery waits. */
  any(): boolean;
}

export function createLockWaiters(): LockWaiters {
  const waiting = new Map<string, { count: number; error: unknown }>();
  return {
    join(delivery, error) {
      // A foreign key needs the host's row for each new meeting, but one meeting is not in the way of another.
      const keys = rowLockTable(error) === 'users' ? hostsOf(delivery) : meetingOf(delivery);
      for (const key of keys) waiting.set(key, { count: (waiting.get(key)?.count ?? 0) + 1, error });
      return () => {
        for (const key of keys) {
          const entry = waiting.get(key);
          if (entry && --entry.count === 0) waiting.delete(key);
        }
      };
    },
    errorFor(delivery) {
      if (waiting.size === 0) return null;
      const key = [...meetingOf(delivery), ...hostsOf(delivery)].find((one) => waiting.has(one));
      return key === undefined ? null : waiting.get(key)?.error;
    },
    any: () => waiting.size > 0,
  };
}

function hostsOf({ change }: Delivery): string[] {
  return [...new Set(change?.hosts)];
}

function meetingOf({ eventId, change }: Delivery): string[] {
  return [change?.observation.uri ?? eventId];
}
