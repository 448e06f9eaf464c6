/** Keeps a number of things in progress at a time. Knows no account and no database. */

export interface SlotsOptions<T> {
  slots: number;
  /** Takes up to `free` more; fewer: there are no more at present; null: none will come any more. */
  take(free: number): Promise<T[] | null>;
  /** Must handle its own errors. */
  run(one: T): Promise<void>;
  /** Once aborted, nothing more is taken. */
  stop: AbortSignal;
  /** How long to wait for more when there were none, in ms; absent: until something ends. */
  idleMs?: number | undefined;
}

/** Taking several at once costs as much as taking one: wait for a quarter of the slots, but not for long. */
const FREE_SHARE = 4;
const LINGER_MS = 100;

/** Runs until nothing is left or `stop` is aborted; resolves when everything that was taken has ended. */
export async function runInSlots<T>({ slots, take, run, stop, idleMs }: SlotsOptions<T>): Promise<void> {
  const running = new Set<Promise<void>>();
  let onEnd = () => {};
  /** Resolves when no more than `max` are running, after so many ms, or when `stop` is aborted. */
  const pause = (max: number, ms?: number) =>
    new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        stop.removeEventListener('abort', done);
        onEnd = () => {};
        resolve();
      }
      onEnd = () => {
        if (running.size <= max) done();
      };
      stop.addEventListener('abort', done);
      if (stop.aborted) done();
      else onEnd();
    });
  while (!stop.aborted) {
    const taken = await take(slots - running.size);
    if (taken === null && running.size === 0) return;
    for (const one of taken ?? []) {
      const ended: Promise<void> = run(one).finally(() => {
        running.delete(ended);
        onEnd();
      });
      running.add(ended);
    }
    if (running.size < slots) await (idleMs === undefined ? pause(running.size - 1) : pause(-1, idleMs));
    else {
      await pause(slots - 1);
      await pause(slots - Math.ceil(slots / FREE_SHARE), LINGER_MS);
    }
  }
  await Promise.all(running);
}
