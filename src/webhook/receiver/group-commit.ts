/**
 * Group commit: work that arrives while a transaction is under way shares the next one. A piece that comes alone goes at once.
 * Where several came together last time, the first one waits a moment for the others: their senders have just been answered, and
 * half groups cost twice as many transactions. A second group begins beside one that takes long. Each caller hears of its own
 * piece when the group that holds it is done. Knows nothing of what the work is.
 */

export interface GroupOptions<T, R> {
  /** Does a group's work; answers in the order given. A failure is every caller's. */
  run(group: T[]): Promise<R[]>;
  /** Most pieces in one group. */
  most: number;
  /** Groups under way at once. */
  atOnce: number;
  /** How long the first piece of a group waits for as many as came together last time, in ms. */
  gatherMs: number;
  /** How long a group may take before another begins beside it, in ms. */
  patienceMs: number;
}

export interface Groups<T, R> {
  add(piece: T): Promise<R>;
  /** Pieces that wait or are under way. */
  size(): number;
  /** Done when nothing waits and nothing is under way. */
  idle(): Promise<void>;
}

interface Waiting<T, R> {
  piece: T;
  resolve(result: R): void;
  reject(reason: unknown): void;
}

export function createGroups<T, R>(options: GroupOptions<T, R>): Groups<T, R> {
  const { run, most, atOnce, gatherMs, patienceMs } = options;
  let waiting: Waiting<T, R>[] = [];
  let inHand = 0;
  let running = 0;
  /** Groups under way that are not known to take long. */
  let brisk = 0;
  /** How many were in hand when a group was last done. */
  let expected = 1;
  let next: { soon: boolean; cancel(): void } | null = null;
  let idlers: (() => void)[] = [];

  /** Sees to it that what waits begins; a brisk group's end is waited for. */
  function start(): void {
    if (waiting.length === 0 || running >= atOnce || brisk > 0 || next?.soon) return;
    if (waiting.length < Math.min(expected, most)) {
      next ??= inMs(gatherMs);
      return;
    }
    next?.cancel();
    next = soon();
  }

  /** Not within the event itself: what the same turn of the loop still brings belongs to the same group. */
  function soon() {
    const immediate = setImmediate(begin);
    return { soon: true, cancel: () => clearImmediate(immediate) };
  }

  function inMs(ms: number) {
    const timer = setTimeout(begin, ms);
    return { soon: false, cancel: () => clearTimeout(timer) };
  }

  function begin(): void {
    next = null;
    const group = waiting.slice(0, most);
    waiting = waiting.slice(most);
    void work(group);
    start();
  }

  async function work(group: Waiting<T, R>[]): Promise<void> {
    const release = occupy(group.length);
    try {
      const results = await run(group.map(({ piece }) => piece));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (thrown) {
      for (const { reject } of group) reject(thrown);
    } finally {
      release();
      expected = group.length + waiting.length;
      start();
      if (running === 0 && waiting.length === 0) {
        for (const resolve of idlers) resolve();
        idlers = [];
      }
    }
  }

  /** Counts a group as under way, and as brisk for as long as that is believed. */
  function occupy(size: number): () => void {
    inHand += size;
    running++;
    brisk++;
    let isBrisk = true;
    const calm = () => {
      if (isBrisk) brisk--;
      isBrisk = false;
    };
    const timer = setTimeout(() => {
      calm();
      start();
    }, patienceMs);
    return () => {
      clearTimeout(timer);
      calm();
      running--;
      inHand -= size;
    };
  }

  return {
    add(piece) {
      const result = new Promise<R>((resolve, reject) => waiting.push({ piece, resolve, reject }));
      start();
      return result;
    },
    size: () => waiting.length + inHand,
    idle() {
      if (running === 0 && waiting.length === 0) return Promise.resolve();
      return new Promise((resolve) => idlers.push(resolve));
    },
  };
}
