/** What the API received: the log of requests, and how many of them each user has left. Knows no HTTP. */
import { MINUTE, type Micros, SECOND } from './time.js';

export type RequestEntry = ReturnType<typeof createEntry>;
type Facts = Record<'method' | 'path' | 'query', string> & { user_agent: string | null };

/** @param number counts from 1 since the last reset */
function createEntry(number: number, facts: Facts) {
  /** Who asked; null without a valid token. The status stays null when a fault left the request unanswered. */
  const unknown = {
    user: null as string | null,
    status: null as number | null,
    fault: null as string | null,
  };
  return { number, at: new Date().toISOString(), ...facts, ...unknown };
}

const MAX_KEPT = 100_000;

/** The newest requests, oldest first. */
export function createRequestLog() {
  const entries: RequestEntry[] = [];
  return {
    begin(facts: Facts): RequestEntry {
      const entry = createEntry((entries.at(-1)?.number ?? 0) + 1, facts);
      if (entries.push(entry) > MAX_KEPT) entries.shift();
      return entry;
    },
    read: () => structuredClone(entries),
    reset() {
      entries.length = 0;
    },
  };
}

export type RateLimit = ReturnType<typeof createRateLimit>;

/** Windows of a minute, shared by all tokens of a user. @param limitNow requests per minute and user */
export function createRateLimit(limitNow: () => number, now: () => Micros) {
  const windows = new Map<string, { began: Micros; used: number }>();
  return {
    /** Counts one request of a user; one over the limit is refused and not counted. `Reset`: seconds until then. */
    take(user: string) {
      const [at, Limit] = [now(), limitNow()];
      let window = windows.get(user);
      if (!window || at - window.began >= MINUTE) window = { began: at, used: 0 };
      windows.set(user, window);
      const allowed = window.used < Limit;
      if (allowed) window.used++;
      const Reset = Math.ceil((window.began + MINUTE - at) / SECOND);
      return { allowed, headers: { Limit, Remaining: Math.max(0, Limit - window.used), Reset } };
    },
  };
}
