/** Runs at most `max` pieces of work at once; the others wait for their turn, in order. */
export type Lane = <T>(work: () => Promise<T>) => Promise<T>;

export function createLane(max: number): Lane {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // Its place goes to the next one, so that nothing new can come between.
      if (next) next();
      else running--;
    }
  };
}
