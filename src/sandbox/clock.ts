/** The sandbox's own clock: the real one, or one that starts at a given instant; it can be put forward. */
import type { Micros } from './microseconds.js';

export interface Clock {
  now(): Micros;
  /** The present as a time stamp; each is later than all before it, so that every change can be told apart. */
  stamp(): Micros;
  /** Puts the clock forward. */
  advance(ms: number): void;
}

/** Makes a clock. @param start the instant that it shows first; the present when absent */
export function createClock(start?: Date): Clock {
  let ahead = start === undefined ? 0 : start.getTime() - Date.now();
  let last = 0;
  const now = () => (Date.now() + ahead) * 1_000;
  return {
    now,
    stamp() {
      last = Math.max(last + 1, now());
      return last;
    },
    advance(ms) {
      ahead += ms;
    },
  };
}
