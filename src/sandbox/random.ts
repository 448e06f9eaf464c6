/** Pseudo-random numbers and ids that are the same for the same seed on every machine. Pure. */
export type Random = () => number;

/** The stream that belongs to a seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** One of the items. @throws RangeError when there are none */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}

/** Eight hexadecimal digits. */
export function hexBy(random: Random): string {
  const number = Math.floor(random() * 0x1_0000_0000);
  return number.toString(16).padStart(8, '0');
}

/** A UUID, version 4 in form. */
export function uuidBy(random: Random): string {
  const [a, b, c, d] = [hexBy(random), hexBy(random), hexBy(random), hexBy(random)];
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${pick(random, [...'89ab'])}${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

/** A 16-character upper-case id, as resources from Calendly's early years have it. */
export function shortIdBy(random: Random): string {
  return (hexBy(random) + hexBy(random)).toUpperCase();
}
