/**
 * Group commit: work that arrives while a transaction is under way shares the next one. Nothing waits for company: the first one
 * goes at once, and so does a second group when the first one takes long. Each caller hears of its own piece when the group that
 * holds it is done. Knows nothing of what the work is.
 */

export interface GroupOptions<T, R> {
  /** Does a group's work; answers in the order given. A failure is every caller's. */
  run(group: T[]): Promise<R[]>;
  /** Most pieces in one group. */
  most: number;
  /** Groups under way at once. */
  atOnce: number;
  /** How long pieces wait for the group under way before another begins beside it, in ms. */
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

export function createGroups<T, R>({ run, most, atOnce, patienceMs }: GroupOptions<T, R>): Groups<T, R> {
  let waiting: Waiting<T, R>[] = [];
  let inHand = 0;
  let running = 0;
  let starting = false;
  let impatience: NodeJS.Timeout | null = null;
  let idlers: (() => void)[] = [];

  // Not within the event itself: what the same turn of the loop still brings belongs to the same group.
  const start = () => {
    if (starting || waiting.length === 0) return;
    if (running > 0) return becomeImpatient();
    starting = true;
    setImmediate(begin);
  };

  function becomeImpatient(): void {
    if (running >= atOnce) return;
    impatience ??= setTimeout(() => {
      impatience = null;
      if (waiting.length > 0 && running < atOnce) begin();
    }, patienceMs);
  }

  function begin(): void {
    starting = false;
    const group = waiting.slice(0, most);
    waiting = waiting.slice(most);
    running++;
    if (impatience) clearTimeout(impatience);
    impatience = null;
    void work(group);
    start();
  }

  async function work(group: Waiting<T, R>[]): Promise<void> {
    inHand += group.length;
    try {
      const results = await run(group.map(({ piece }) => piece));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (thrown) {
      for (const { reject } of group) reject(thrown);
    } finally {
      running--;
      inHand -= group.length;
      start();
      if (running === 0 && waiting.length === 0) {
        for (const resolve of idlers) resolve();
        idlers = [];
      }
    }
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
