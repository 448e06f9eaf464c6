/**
 * How a request stands to the last write of a meeting, by the database's clock alone: Calendly's times may come from a
 * skewed clock or an odd delivery, so they cannot decide this. Pure: knows no content.
 */

/**
 * `contested`: the meeting was written after the request was sent, so the answer may be older than what is stored.
 * `recent`: it was written less than ten minutes before; Calendly's replicas may lag behind. `settled`: earlier.
 */
export type Standing = 'contested' | 'recent' | 'settled';

/** After so many ms Calendly's answers reflect whatever led to a write. */
export const SETTLED_AFTER_MS = 10 * 60_000;

/**
 * How the answer to a request stands to what is stored.
 * @param writtenAt when the content of the meeting was last written (canonical text); null: never by this tool
 * @param requestedAt before the request was sent (canonical text)
 */
export function standingOf(writtenAt: string | null, requestedAt: string): Standing {
  if (writtenAt === null) return 'settled';
  if (writtenAt > requestedAt) return 'contested';
  return Date.parse(requestedAt) - Date.parse(writtenAt) < SETTLED_AFTER_MS ? 'recent' : 'settled';
}

/** A time (canonical text) plus some ms, rounded down: the database's time without asking for it again. */
export function later(time: string, ms: number): string {
  const shifted = new Date(Date.parse(time) + Math.floor(ms)).toISOString();
  // The microseconds stay: rounded down, the time could be before what was written just before it.
  return shifted.replace('Z', time.slice(23));
}
