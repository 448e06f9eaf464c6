/** Counts as people read them. Pure. */

/** `1 meeting`, `2 meetings`, `12,000 meetings`. */
export function countOf(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}
