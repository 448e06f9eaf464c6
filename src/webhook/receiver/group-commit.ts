/**
 * Group commit: while as many batches as may run are running, items are collected for the next one. Nothing waits for
 * a timer. Knows nothing of the work.
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
}

/** Adds an item; settles as the work settles it. */
export type AddToGroup<T, R> = (item: T) => Promise<R>;

export function createGroupCommit<T, R>(options: GroupCommitOptions<T, R>): AddToGroup<T, R> {
  const { run, maxBatch, maxConcurrent } = options;
  let waiting: Entry<T, R>[] = [];
  let running = 0;
  let isScheduled = false;

  /** Not in the current event: items that the same turn of the event loop still brings belong to the same batch. */
  function schedule(): void {
    if (isScheduled || waiting.length === 0 || running >= maxConcurrent) return;
    isScheduled = true;
    setImmediate(start);
  }

  function start(): void {
    isScheduled = false;
    const batch = waiting.slice(0, maxBatch);
    waiting = waiting.slice(maxBatch);
    void work(batch);
    schedule();
  }

  async function work(batch: Entry<T, R>[]): Promise<void> {
    running++;
    try {
      await run(batch);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running--;
      schedule();
    }
  }

  return (item) =>
    new Promise<R>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      schedule();
    });
}
