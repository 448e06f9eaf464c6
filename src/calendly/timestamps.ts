/**
 * Calendly's timestamps as text that compares as a string. Pure; keeps every microsecond, which a JS Date would lose.
 */

const PARTS = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:?\d{2})$/;
// The usual form is already canonical. Only days that every month has: other days need a calendar to be checked.
const CANONICAL = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/**
 * The form `2025-10-17T16:00:00.123456Z` (UTC) of any timestamp that Calendly writes; null for anything else. Two
 * results compare as strings. Digits after the sixth, which Postgres could not store either, are cut off.
 */
export function canonicalTimestamp(text: string | null | undefined): string | null {
  if (text == null) return null;
  if (CANONICAL.test(text)) return text;
  const parts = PARTS.exec(text);
  if (!parts) return null;
  const [, minute, second = '00', fraction = '', zone] = parts;
  const utc = Date.parse(`${minute}:${second}${zone}`);
  if (Number.isNaN(utc)) return null;
  return `${new Date(utc).toISOString().slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`;
}

/**
 * A time as a query parameter, with six fraction digits. Three, as `toISOString` writes them, are reported to get a
 * 400.
 */
export function queryTime(ms: number): string {
  return new Date(ms).toISOString().replace(/Z$/, '000Z');
}
