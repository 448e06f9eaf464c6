/** Pseudo-random numbers and ids that are the same for the same seed on every machine. Pure. */
export type Random = () => number;

/** Mixes whole numbers into one 32-bit number (the finalizer of MurmurHash3 for each of them). */
export function mix(...parts: number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) {
    state = Math.imul(state ^ part, 0x85ebca6b);
    state ^= state >>> 13;
    state = Math.imul(state, 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}

/** The stream that belongs to these whole numbers (mulberry32). */
export function randomOf(...parts: number[]): Random {
  let state = mix(...parts);
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

/** The UUID (version 4 in form) that belongs to these numbers. */
export function uuidOf(...parts: number[]): string {
  const [a = '', b = '', c = '', d = ''] = [1, 2, 3, 4].map((part) => hex(mix(...parts, part)));
  const variant = '89ab'[Number.parseInt(c.slice(0, 1), 16) >> 2];
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

export const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** A 16-character upper-case id, as resources from Calendly's early years have it. */
export function shortIdOf(...parts: number[]): string {
  return base32(mix(...parts, 1), 7) + base32(mix(...parts, 2), 7) + base32(mix(...parts, 3), 2);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(value: number, length: number): string {
  const digits = value.toString(32).padStart(length, '0').slice(-length);
  return digits.replaceAll(/./g, (digit) => ALPHABET.charAt(Number.parseInt(digit, 32)));
}
