/** Recognizes a name that was meant to be another one. Pure. */

/**
 * Whether `name` is `right` with one letter changed, added, left out or swapped with the next, or in another case.
 * @param right in upper case
 */
export function isMisspelling(name: string, right: string): boolean {
  const given = name.toUpperCase();
  const shorter = Math.min(given.length, right.length);
  let start = 0;
  while (start < shorter && given[start] === right[start]) start++;
  let end = 0;
  while (end < shorter - start && given.at(-1 - end) === right.at(-1 - end)) end++;
  const middle = given.slice(start, given.length - end);
  const expected = right.slice(start, right.length - end);
  if (middle.length <= 1 && expected.length <= 1) return true;
  return middle.length === 2 && expected === `${middle[1]}${middle[0]}`;
}
