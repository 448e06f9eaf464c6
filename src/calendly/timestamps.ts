/** Calendly's timestamps as text that can be compared: UTC, six fraction digits. Pure; loses no microsecond, as a JS Date would. */

const PARTS = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:?\d{2})$/;
// What Calendly writes nearly always is canonical already. Only days that every month has: the rest is a calendar's to decide.
const CANONICAL = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/**
 * `2025-10-17T16:00:00.123456Z` of any form that Calendly writes; null for what is no timestamp. Two results compare as
 * strings. More than six digits, which Postgres could not hold either, are cut.
 */
export function canonicalTimestamp(text: string | null | undefined): string | null {
  if (text == null) return null;
  if (CANONICAL.test(text)) return text;
  const parts = PARTS.exec(text);
  if (!parts) return null;
  const [, minute, second = '00', fraction = '', zone] = parts;
  const micros = fraction.slice(0, 6).padEnd(6, '0');
  const utc = Date.parse(`${minute}:${second}${zone}`);
  if (Number.isNaN(utc)) return null;
  return `${new Date(utc).toISOString().slice(0, 19)}.${micros}Z`;
}
