/** How many requests a user may send: fixed windows of a minute, shared by all tokens of the user. Knows no HTTP. */
import { MINUTE, type Micros } from './microseconds.js';

/** What is left after a request, as the `X-RateLimit-*` headers say it. */
export interface Allowed {
  ok: boolean;
  limit: number;
  remaining: number;
  /** Whole seconds until the window ends; not a point in time. */
  resetSeconds: number;
}

export interface Allowance {
  /** Counts one request of a user; one over the limit is refused and not counted. */
  take(user: string): Allowed;
  /** Changes the limit from the next request on. */
  setLimit(limit: number): void;
}

/** @param limit requests per minute and user. A user's window begins with the first request in it. */
export function createAllowance(limit: number, now: () => Micros): Allowance {
  const windows = new Map<string, { began: Micros; used: number }>();
  let perMinute = limit;
  return {
    take(user) {
      const at = now();
      let window = windows.get(user);
      if (!window || at - window.began >= MINUTE) {
        window = { began: at, used: 0 };
        windows.set(user, window);
      }
      const ok = window.used < perMinute;
      if (ok) window.used++;
      return {
        ok,
        limit: perMinute,
        remaining: Math.max(0, perMinute - window.used),
        resetSeconds: Math.ceil((window.began + MINUTE - at) / 1_000_000),
      };
    },
    setLimit(next) {
      perMinute = next;
    },
  };
}
