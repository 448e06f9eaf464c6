/** A clock that jumps to the next pending timer, so that minutes pass at once. */
import type { Clock } from '../../src/clock.js';

export interface FakeClock extends Clock {
  /** Advances the clock until the work is done. */
  run<T>(work: Promise<T>): Promise<T>;
}

export function createFakeClock(start = 0): FakeClock {
  let now = start;
  let timers: { at: number; fire(): void }[] = [];
  return {
    now: () => now,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const timer = { at: now + Math.max(0, ms), fire: resolve };
        timers.push(timer);
        signal?.addEventListener('abort', () => {
          timers = timers.filter((one) => one !== timer);
          reject(signal.reason);
        });
      });
    },
    async run(work) {
      let done = false;
      const finished = work.finally(() => {
        done = true;
      });
      finished.catch(() => {});
      while (!done) {
        // First everything that needs no time to pass.
        await new Promise((resolve) => setImmediate(resolve));
        if (done) break;
        const at = Math.min(...timers.map((one) => one.at));
        if (!Number.isFinite(at)) continue;
        now = Math.max(now, at);
        const due = timers.filter((one) => one.at <= now);
        timers = timers.filter((one) => one.at > now);
        for (const one of due) one.fire();
      }
      return finished;
    },
  };
}
