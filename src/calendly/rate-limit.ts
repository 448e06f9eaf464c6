/**
 * When the next request may be sent: arithmetic on what Calendly's rate-limit headers said. Pure; holds no timer and no socket.
 *
 * Calendly allows each user so many requests a minute (500 on paid plans, 50 on Free) and answers with `X-RateLimit-Limit`,
 * `-Remaining` and `-Reset`, the last in seconds from now. Everything that uses the user's allowance shares it, other programs
 * too, so `Remaining` is believed over any count of our own, and a reserve is left for the others.
 */

/** What the headers of one response said. */
export interface RateHeaders {
  /** Requests per window. */
  limit: number;
  /** Requests left in the window, all users of the allowance counted. */
  remaining: number;
  /** Seconds until the window ends. */
  resetSeconds: number;
}

/** What is known of the allowance. All times are ms since 1970. */
export interface Allowance {
  /** `unknown`: no answer yet; `none`: answers carry no headers; `known`: see `limit`, `remaining`, `resetAt`. */
  readonly knowledge: 'unknown' | 'none' | 'known';
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: number;
  /** Nothing is sent before this time (after a 429). */
  readonly pausedUntil: number;
  /** 429s in a row that did not say until when; their waits grow. */
  readonly blindRefusals: number;
}

/** What to do with the next request: send it, wait until a time, or wait for an answer that is under way. */
export type Decision = { send: true } | { send: false; until: number | 'answer' };

/** Share of the allowance that is left to others, unless told otherwise. */
const DEFAULT_RESERVE = 0.05;

/** Where every account starts. */
export const unknownAllowance: Allowance = {
  knowledge: 'unknown',
  limit: 0,
  remaining: 0,
  resetAt: 0,
  pausedUntil: 0,
  blindRefusals: 0,
};

// Two answers of one window give end times that differ by the rounding of Reset to whole seconds and by latency.
const SAME_WINDOW_MS = 3_000;
const BLIND_WAITS_S = [1, 2, 5, 10, 20, 40, 60];

/**
 * Decides for one request.
 * @param inFlight requests sent and not answered yet
 */
export function decide(
  allowance: Allowance,
  inFlight: number,
  now: number,
  reserve = DEFAULT_RESERVE,
): Decision {
  if (now < allowance.pausedUntil) return { send: false, until: allowance.pausedUntil };
  if (allowance.knowledge === 'none') return { send: true };
  // Before the first answer, and after a window has ended, one request goes ahead and brings news: the end of a window is
  // known to the second only, and a burst sent half a second early would be a row of 429s.
  if (allowance.knowledge === 'unknown' || now >= allowance.resetAt) {
    return inFlight === 0 ? { send: true } : { send: false, until: 'answer' };
  }
  const kept = reserveOf(allowance.limit, reserve);
  if (allowance.remaining - inFlight > kept) return { send: true };
  return { send: false, until: allowance.remaining > kept ? 'answer' : allowance.resetAt };
}

/** How many requests of a window are left to others. A tiny allowance is never kept whole. */
export function reserveOf(limit: number, reserve: number): number {
  return Math.max(0, Math.min(Math.floor(limit * reserve), limit - 1));
}

/** The allowance after an answer that was not a 429. Answers may arrive out of order: within a window the least counts. */
export function afterAnswer(allowance: Allowance, headers: RateHeaders | null, now: number): Allowance {
  if (headers === null) {
    const inWindow = allowance.knowledge === 'known' && now < allowance.resetAt;
    return inWindow ? allowance : { ...allowance, knowledge: 'none', blindRefusals: 0 };
  }
  // "0 seconds" means some part of one: believed as it stands, it would let several probes through within that second.
  const resetAt = now + Math.max(headers.resetSeconds, 1) * 1_000;
  const sameWindow =
    allowance.knowledge === 'known' &&
    now < allowance.resetAt &&
    Math.abs(resetAt - allowance.resetAt) <= SAME_WINDOW_MS;
  return {
    ...allowance,
    knowledge: 'known',
    limit: headers.limit,
    remaining: sameWindow ? Math.min(allowance.remaining, headers.remaining) : headers.remaining,
    resetAt: sameWindow ? Math.max(allowance.resetAt, resetAt) : resetAt,
    blindRefusals: 0,
  };
}

/**
 * The allowance after a 429: everybody pauses until the window ends. Calendly does not document `Retry-After`; it is
 * honoured when present. A 429 without headers, or one beside a `Remaining` that is not used up, was somebody else's (a CDN, a
 * proxy): its waits begin at a second and grow to a whole window.
 * @param jitter 0 to 1, spread over one second, so that several processes do not come back at one moment
 */
export function afterRefusal(
  allowance: Allowance,
  headers: RateHeaders | null,
  retryAfterSeconds: number | null,
  now: number,
  jitter: number,
): Allowance {
  const told = retryAfterSeconds ?? resetAfterRefusal(allowance, headers, now);
  const blind = BLIND_WAITS_S[Math.min(allowance.blindRefusals, BLIND_WAITS_S.length - 1)] ?? 60;
  const seconds = Math.max(1, told ?? blind);
  const pausedUntil = Math.max(allowance.pausedUntil, now + seconds * 1_000 + jitter * 1_000);
  return {
    ...allowance,
    // One request goes ahead after the pause, whatever was known before it.
    knowledge: headers === null && allowance.knowledge !== 'known' ? 'unknown' : 'known',
    limit: headers?.limit ?? allowance.limit,
    remaining: 0,
    resetAt: pausedUntil,
    pausedUntil,
    blindRefusals: told === null ? allowance.blindRefusals + 1 : 0,
  };
}

/** Seconds until the window ends, when it is the window that is used up; null when something else refuses. */
function resetAfterRefusal(allowance: Allowance, headers: RateHeaders | null, now: number): number | null {
  if (headers !== null) return headers.remaining === 0 ? headers.resetSeconds : null;
  const usedUp =
    allowance.knowledge === 'known' && allowance.blindRefusals === 0 && allowance.remaining === 0;
  return usedUp && now < allowance.resetAt ? (allowance.resetAt - now) / 1_000 : null;
}

/** Reads the rate-limit headers of a response; null when they are absent or no numbers. */
export function readRateHeaders(headers: Headers): RateHeaders | null {
  const number = (name: string) => {
    const text = headers.get(name);
    const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
    return Number.isFinite(value) && value >= 0 ? value : null;
  };
  const limit = number('x-ratelimit-limit');
  const remaining = number('x-ratelimit-remaining');
  const resetSeconds = number('x-ratelimit-reset');
  if (limit === null || remaining === null || resetSeconds === null) return null;
  // Documented as seconds until the reset. Anything longer than an hour can only be an epoch that a proxy made of it.
  return { limit, remaining, resetSeconds: resetSeconds > 3_600 ? 60 : resetSeconds };
}

/** Seconds of a `Retry-After` header, which may be a number or a date; null when there is none that can be read. */
export function readRetryAfter(headers: Headers, now: number): number | null {
  const text = headers.get('retry-after');
  if (text === null) return null;
  if (/^\d+$/.test(text.trim())) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1_000);
}
