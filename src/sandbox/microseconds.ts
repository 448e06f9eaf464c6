/**
 * Points in time with Calendly's microseconds, as whole numbers of microseconds since 1970 and as text.
 * Pure. A JS Date would lose three digits.
 */

/** Microseconds since 1970-01-01T00:00:00Z; exact as a number until the year 2255. */
export type Micros = number;

const SECOND: Micros = 1_000_000;
export const MINUTE: Micros = 60 * SECOND;
export const HOUR: Micros = 60 * MINUTE;
export const DAY: Micros = 24 * HOUR;

/** The instant as `2026-01-31T09:00:00.123456Z`; with fewer digits the rest is cut off, with none the point too. */
export function formatInstant(at: Micros, digits = 6): string {
  const day = Math.floor(at / DAY);
  const seconds = Math.floor((at - day * DAY) / SECOND);
  const time = `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (digits === 0) return `${dateOf(day)}T${time}Z`;
  const fraction = String(1_000_000 + (at - day * DAY - seconds * SECOND)).slice(1, 1 + digits);
  return `${dateOf(day)}T${time}.${fraction}Z`;
}

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);

/** Dates by day since 1970. A listing formats a dozen instants of each meeting, and Date is slow at it. */
const dates = new Map<number, string>();

function dateOf(day: number): string {
  let date = dates.get(day);
  if (date === undefined) {
    date = new Date(day * 86_400_000).toISOString().slice(0, 10);
    // A few thousand days are all that a sandbox shows; whoever edits in more starts over.
    if (dates.size > 10_000) dates.clear();
    dates.set(day, date);
  }
  return date;
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
