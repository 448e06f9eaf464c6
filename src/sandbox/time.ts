/** Points in time with Calendly's microseconds, of which a Date would lose three digits; and the sandbox's clock. */

/** Microseconds since 1970-01-01T00:00:00Z; exact as a number until the year 2255. */
export type Micros = number;

export const SECOND: Micros = 1_000_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const UNITS: Record<string, Micros> = { s: SECOND, m: MINUTE, h: HOUR, d: DAY };

/** The instant as `2026-01-31T09:00:00.123456Z`. @param digits of the fraction, 0 to 6; the rest is cut off */
export function formatInstant(at: Micros, digits = 6): string {
  const text = new Date(Math.floor(at / 1_000)).toISOString().slice(0, 19);
  if (digits === 0) return `${text}Z`;
  const fraction = at - Math.floor(at / SECOND) * SECOND;
  return `${text}.${String(fraction).padStart(6, '0').slice(0, digits)}Z`;
}

/** Parses a UTC time with 0 to 6 fraction digits; null when the text is anything else. */
export function parseInstant(text: string): Micros | null {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?Z$/.exec(text);
  if (!match) return null;
  const ms = Date.parse(`${match[1]}Z`);
  // Date.parse reads February 30 as March 2; Calendly refuses it.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== match[1]) return null;
  return ms * 1_000 + Number((match[2] ?? '').padEnd(6, '0'));
}

/** The time of a text that is known to be one. */
export const instantOf = (text: string): Micros => parseInstant(text) ?? 0;

/** Parses `90s`, `30m`, `36h` or `30d`; null when the text is anything else. */
export function parseDuration(text: string): Micros | null {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  return match ? Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0) : null;
}

export type Clock = ReturnType<typeof createClock>;

/** Creates a clock. @param start its first time; the real time by default */
export function createClock(start = new Date()) {
  let ahead: Micros = (start.getTime() - Date.now()) * 1_000;
  let last: Micros = 0;
  let stopped: Micros | null = null;
  const now = (): Micros => stopped ?? Date.now() * 1_000 + ahead;
  return {
    now,
    /** The current time as a timestamp. Each is later than all before it, so that no two changes share one. */
    stamp(digits = 6): string {
      last = Math.max(last + 1, now());
      return formatInstant(last, digits);
    },
    advance(by: Micros) {
      ahead += by;
    },
    /** Runs something as if the clock had stopped at this time. */
    at<Result>(time: Micros, run: () => Result): Result {
      const before = { last, stopped };
      stopped = time;
      last = 0;
      try {
        return run();
      } finally {
        ({ last, stopped } = before);
      }
    },
  };
}
