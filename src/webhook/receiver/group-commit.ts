/**
 * Group commit. Items that arrive while a batch is running go into the next one. A lone item starts immediately;
 * after a batch of n, the first item waits up to `lingerMs` for n − 1 more: their senders have just been answered,
 * and half-full batches cost twice as many transactions. A batch that is slow no longer holds back the next. Knows
 * nothing of the work.
 */

/** An item, and how it is settled. Only the first call counts. */
export interface Entry<T, R> {
  item: T;
  resolve(result: R): void;
  reject(reason: unknown): void;
}

export interface GroupCommitOptions<T, R> {
  /**
   * Does the work of a batch and settles its entries, each as soon as its result is known, some perhaps later. Another
   * batch may start when this resolves. A failure rejects the entries that are not settled yet.
   */
  run(batch: Entry<T, R>[]): Promise<void>;
  /** Max items of a batch. */
  maxBatch: number;
  /** Max batches at once. */
  maxConcurrent: number;
  /** How long the first item of a batch waits for as many as the last batch had, in ms. */
  lingerMs: number;
  /** How long a batch may run before another starts beside it, in ms. */
  slowAfterMs: number;
}

export interface GroupCommit<T, R> {
  /** Settles as the work settles the item. */
  add(item: T): Promise<R>;
  /** Items that wait or are in progress. */
  size(): number;
  /** Resolves when no item waits or is in progress. */
  idle(): Promise<void>;
}

export function createGroupCommit<T, R>(options: GroupCommitOptions<T, R>): GroupCommit<T, R> {
  const { run, maxBatch, maxConcurrent, lingerMs, slowAfterMs } = options;
  let waiting: Entry<T, R>[] = [];
  const inFlight = new Set<Promise<R>>();
  const running = new Set<Entry<T, R>[]>();
  const fastInFlight = new Set<Entry<T, R>[]>();
  /** How many items the next batch may hope for: those of the last batch, and those that came while it ran. */
  let expected = 1;
  let scheduled: { now: boolean; cancel(): void } | null = null;

  /** Schedules the next batch, unless a fast one is running: its end is awaited. */
  function schedule(): void {
    if (waiting.length === 0 || running.size >= maxConcurrent || fastInFlight.size > 0) return;
    if (scheduled?.now) return;
    if (waiting.length < Math.min(expected, maxBatch)) {
      scheduled ??= afterLinger();
      return;
    }
    scheduled?.cancel();
    scheduled = afterThisTurn();
  }

  /** Not in the current event: items that the same turn of the event loop still brings belong to the same batch. */
  function afterThisTurn() {
    const immediate = setImmediate(start);
    return { now: true, cancel: () => clearImmediate(immediate) };
  }

  function afterLinger() {
    const timer = setTimeout(start, lingerMs);
    return { now: false, cancel: () => clearTimeout(timer) };
  }

  function start(): void {
    scheduled = null;
    const batch = waiting.slice(0, maxBatch);
    waiting = waiting.slice(maxBatch);
    void work(batch);
    schedule();
  }

  async function work(batch: Entry<T, R>[]): Promise<void> {
    running.add(batch);
    fastInFlight.add(batch);
    const slow = setTimeout(() => {
      fastInFlight.delete(batch);
      schedule();
    }, slowAfterMs);
    try {
      await run(batch);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      clearTimeout(slow);
      fastInFlight.delete(batch);
      running.delete(batch);
      expected = batch.length + waiting.length;
      schedule();
    }
  }

  return {
    add(item) {
      const result = new Promise<R>((resolve, reject) => waiting.push({ item, resolve, reject }));
      const done = () => inFlight.delete(result);
      inFlight.add(result);
      result.then(done, done);
      schedule();
      return result;
    },
    size: () => inFlight.size,
    async idle() {
      while (inFlight.size > 0) await Promise.allSettled(inFlight);
    },
  };
}
