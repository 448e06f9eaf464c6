/**
 * Random cases. Property tests take FUZZ_RUNS times as many cases as usual, from FUZZ_SEED if it is set; a failure
 * prints its seed. Everything else that is random is the same in every run.
 */
const { FUZZ_RUNS = '1', FUZZ_SEED } = process.env;

/** Parameters of a property test that usually takes so many cases. */
export function fuzz(runs = 100): { numRuns: number; seed?: number } {
  const numRuns = Math.ceil(runs * Number(FUZZ_RUNS));
  return FUZZ_SEED === undefined ? { numRuns } : { numRuns, seed: Number(FUZZ_SEED) };
}

/** Seeds for `randomOf`, of a test that usually takes so many. */
export function seeds(count: number): number[] {
  return Array.from({ length: fuzz(count).numRuns }, (_, index) => Number(FUZZ_SEED ?? 1) + index);
}

/** Numbers from 0 to 1, the same ones for each seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** The list in random order. */
export function shuffled<T>(list: T[], random: () => number): T[] {
  return list
    .map((one) => ({ one, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ one }) => one);
}
