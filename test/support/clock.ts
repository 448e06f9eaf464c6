/** A clock that jumps from one appointment to the next, so that minutes pass in no time. */
import type { Clock } from '../../src/clock.js';

export interface FakeClock extends Clock {
  /** Lets time pass until the work is done. */
  run<T>(work: Promise<T>): Promise<T>;
}

export function createFakeClock(start = 0): FakeClock {
  let now = start;
  let appointments: { at: number; keep(): void }[] = [];
  return {
    now: () => now,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const appointment = { at: now + Math.max(0, ms), keep: resolve };
        appointments.push(appointment);
        signal?.addEventListener('abort', () => {
          appointments = appointments.filter((one) => one !== appointment);
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
        // Everything that can go on without time passing goes first.
        await new Promise((resolve) => setImmediate(resolve));
        if (done) break;
        const at = Math.min(...appointments.map((one) => one.at));
        if (!Number.isFinite(at)) continue;
        now = Math.max(now, at);
        const due = appointments.filter((one) => one.at <= now);
        appointments = appointments.filter((one) => one.at > now);
        for (const one of due) one.keep();
      }
      return finished;
    },
  };
}
