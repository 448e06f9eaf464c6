/**
 * The locks for which deliveries wait, as far as is known: whatever needs the same one waits with them instead of
 * holding up others. Pure.
 */
import { rowLockTable } from '../../database/errors.js';
import type { Delivery } from './delivery.js';

export interface LockWaiters {
  /** Adds what a delivery needed when it met this error. */
  add(delivery: Delivery, error: unknown): void;
  /** Whether this delivery needs something for which another one waits. */
  blocks(delivery: Delivery): boolean;
  /** Whether any delivery waits. */
  any(): boolean;
  /** All are about to be attempted again: the returned function forgets what was not added since. */
  startOver(): () => void;
}

export function createLockWaiters(): LockWaiters {
  let older = new Set<string>();
  let newer = new Set<string>();
  return {
    add(delivery, error) {
      // A foreign key needs the host's row for each new meeting, but one meeting is not in the way of another.
      const keys = rowLockTable(error) === 'users' ? hostsOf(delivery) : [meetingOf(delivery)];
      for (const key of keys) newer.add(key);
    },
    blocks(delivery) {
      if (older.size + newer.size === 0) return false;
      return [meetingOf(delivery), ...hostsOf(delivery)].some((key) => older.has(key) || newer.has(key));
    },
    any: () => older.size + newer.size > 0,
    startOver() {
      older = new Set([...older, ...newer]);
      newer = new Set();
      return () => {
        older = new Set();
      };
    },
  };
}

function hostsOf({ change }: Delivery): string[] {
  return change?.hosts ?? [];
}

function meetingOf({ eventId, change }: Delivery): string {
  return change?.observation.uri ?? eventId;
}
