/**
 * Points in time with Calendly's microseconds, as whole numbers of microseconds since 1970 and as text.
 * Pure. A JS Date would lose three digits.
 */

/** Microseconds since 1970-01-01T00:00:00Z; exact as a number until the year 2255. */
export type Micros = number;

export const SECOND: Micros = 1_000_000;
export const MINUTE: Micros = 60 * SECOND;
export const HOUR: Micros = 60 * MINUTE;
export const DAY: Micros = 24 * HOUR;

/** The instant as `2026-01-31T09:00:00.123456Z`; with fewer digits the rest is cut off, with none the point too. */
export function formatInstant(at: Micros, digits = 6): string {
  const seconds = Math.floor(at / SECOND);
  const whole = new Date(seconds * 1_000).toISOString().slice(0, 19);
  const fraction = String(at - seconds * SECOND)
    .padStart(6, '0')
    .slice(0, digits);
  return digits > 0 ? `${whole}.${fraction}Z` : `${whole}Z`;
}

/** The instant that a UTC text with zero to six fraction digits stands for; null when it is none. */
export function parseInstant(text: string): Micros | null {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?Z$/.exec(text);
  if (!match) return null;
  const ms = Date.parse(`${match[1]}Z`);
  // Date.parse turns the 31st of a short month into the next month's first days; that is no date.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== match[1]) return null;
  return ms * 1_000 + Number((match[2] ?? '').padEnd(6, '0'));
}
