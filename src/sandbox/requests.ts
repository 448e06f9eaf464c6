/** What the API received: the log of requests, and how many of them each user has left. Knows no HTTP. */
import { MINUTE, type Micros, SECOND } from './time.js';

type Facts = Record<'method' | 'path' | 'query', string> & { user_agent: string | null };
export type RequestEntry = ReturnType<typeof createEntry>;

/** @param number counts from 1 since the last reset */
function createEntry(number: number, facts: Facts) {
  return {
    number,
    /** When it arrived, by the real clock. */
    at: new Date().toISOString(),
    ...facts,
    /** Who asked; null without a valid token. */
    user: null as string | null,
    /** null while it is unanswered, and for good when a fault left it so. */
    status: null as number | null,
    fault: null as string | null,
  };
}

/** Keeps the newest `keep` entries, oldest first, so that a sandbox can run for days. */
export function createRequestLog(keep = 100_000) {
  let entries: RequestEntry[] = [];
  let total = 0;
  const read = () => ({ total, requests: structuredClone(entries) });
  return {
    begin(facts: Facts): RequestEntry {
      const entry = createEntry(++total, facts);
      entries.push(entry);
      // Trimmed rarely: shifting the array on every request would cost more than the request.
      if (entries.length > keep * 1.1) entries = entries.slice(-keep);
      return entry;
    },
    /** The total since the last reset counts those that are no longer kept. */
    read,
    reset() {
      entries = [];
      total = 0;
      return read();
    },
  };
}

export type RateLimit = ReturnType<typeof createRateLimit>;

/** Windows of a minute, shared by all tokens of a user. @param limit requests per minute and user */
export function createRateLimit(limit: number, now: () => Micros) {
  const windows = new Map<string, { began: Micros; used: number }>();
  let perMinute = limit;
  return {
    /** From the next request on. */
    setLimit(next: number): number {
      perMinute = next;
      return perMinute;
    },
    /** Counts one request of a user. A request over the limit is refused and not counted. */
    take(user: string) {
      const at = now();
      let window = windows.get(user);
      if (!window || at - window.began >= MINUTE) window = { began: at, used: 0 };
      windows.set(user, window);
      const allowed = window.used < perMinute;
      if (allowed) window.used++;
      const remaining = Math.max(0, perMinute - window.used);
      // Until the window ends; not a point in time.
      const resetSeconds = Math.ceil((window.began + MINUTE - at) / SECOND);
      return { allowed, limit: perMinute, remaining, resetSeconds };
    },
  };
}
