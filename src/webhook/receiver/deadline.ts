/** A time limit for a promise. The work itself goes on. */
import { setTimeout as delay } from 'node:timers/promises';

/** Settles like `work`, or like `onTimeout()` if that takes longer than `ms`. */
export async function withDeadline<T>(work: Promise<T>, ms: number, onTimeout: () => T): Promise<T> {
  const settled = new AbortController();
  try {
    return await Promise.race([work, delay(ms, undefined, { signal: settled.signal }).then(onTimeout)]);
  } finally {
    settled.abort();
  }
}
