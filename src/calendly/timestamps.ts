/** Calendly's timestamps as text that can be compared: UTC, six fraction digits. Pure; loses no microsecond, as a JS Date would. */

const PARTS = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:?\d{2})$/;

/**
 * `2025-10-17T16:00:00.123456Z` of any form that Calendly writes; null for what is no timestamp. Two results compare as
 * strings. More than six digits, which Postgres could not hold either, are cut.
 */
export function canonicalTimestamp(text: string | null | undefined): string | null {
  const parts = PARTS.exec(text ?? '');
  if (!parts) return null;
  const [, minute, second = '00', fraction = '', zone] = parts;
  const micros = fraction.slice(0, 6).padEnd(6, '0');
  const utc = Date.parse(`${minute}:${second}${zone === 'Z' ? 'Z' : zone}`);
  if (Number.isNaN(utc)) return null;
  return `${new Date(utc).toISOString().slice(0, 19)}.${micros}Z`;
}
