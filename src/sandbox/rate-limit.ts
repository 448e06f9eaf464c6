/** How many requests a user may send: fixed windows of a minute, shared by all tokens of the user. Knows no HTTP. */
import { MINUTE, type Micros, SECOND } from './time.js';

export type RateLimit = ReturnType<typeof createRateLimit>;
/** The state after a request, as the `X-RateLimit-*` headers report it. */
export type RateLimitState = ReturnType<RateLimit['take']>;

/** @param limit requests per minute and user. A user's window begins with the first request in it. */
export function createRateLimit(limit: number, now: () => Micros) {
  const windows = new Map<string, { began: Micros; used: number }>();
  let perMinute = limit;
  return {
    /** Counts one request of a user. A request over the limit is refused and not counted. */
    take(user: string) {
      const at = now();
      let window = windows.get(user);
      if (!window || at - window.began >= MINUTE) window = { began: at, used: 0 };
      windows.set(user, window);
      const allowed = window.used < perMinute;
      if (allowed) window.used++;
      return {
        allowed,
        limit: perMinute,
        remaining: Math.max(0, perMinute - window.used),
        // Until the window ends; not a point in time.
        resetSeconds: Math.ceil((window.began + MINUTE - at) / SECOND),
      };
    },
    /** Changes the limit from the next request on. */
    setLimit(next: number) {
      perMinute = next;
    },
  };
}
