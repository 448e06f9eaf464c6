/**
 * When the next request may be sent, calculated from Calendly's rate-limit headers. Pure; has no timer and no socket.
 *
 * Calendly allows each user a number of requests per minute (500 on paid plans, 50 on Free) and returns
 * `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in seconds from now. All programs that use the user's
 * allowance share it, so `Remaining` is trusted over any count of our own, and a reserve is left for the others.
 */
import type { ResponseHeaders } from './transport.js';

/** The headers of one response. */
export interface RateHeaders {
  /** Requests per window. */
  limit: number;
  /** Requests left in the window, those of other programs counted. */
  remaining: number;
  /** Seconds until the window ends. */
  resetSeconds: number;
}

/** What is known of the allowance. All times are ms since 1970. */
export interface Allowance {
  /** `unknown`: no response yet; `none`: responses have no headers; `known`: see `limit`, `remaining`, `resetAt`. */
  readonly knowledge: 'unknown' | 'none' | 'known';
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: number;
  /** Nothing is sent before this time (after a 429). */
  readonly pausedUntil: number;
  /** Consecutive 429s that did not say when to retry; their pauses grow. */
  readonly unexplained429s: number;
}

/** What to do with the next request: send it, wait until a time, or wait for a pending response. */
export type Decision = { send: true } | { send: false; until: number | 'response' };

/** Share of the allowance that is left to others. */
const RESERVE = 0.05;
/** Two responses of one window give different ends, because Reset is rounded to whole seconds and latency varies. */
const SAME_WINDOW_MS = 3_000;
const UNEXPLAINED_PAUSES_S = [1, 2, 5, 10, 20, 40, 60];

/** The initial state of an account. */
export const unknownAllowance: Allowance = {
  knowledge: 'unknown',
  limit: 0,
  remaining: 0,
  resetAt: 0,
  pausedUntil: 0,
  unexplained429s: 0,
};

/**
 * Decides for one request.
 * @param inFlight requests sent and not answered yet
 */
export function decide(allowance: Allowance, inFlight: number, now: number): Decision {
  if (now < allowance.pausedUntil) return { send: false, until: allowance.pausedUntil };
  if (allowance.knowledge === 'none') return { send: true };
  // Before the first response, and after a window has ended, one request goes first: the end of a window is known to
  // the second only, and a burst sent half a second early would be a row of 429s.
  if (allowance.knowledge === 'unknown' || now >= allowance.resetAt) {
    return inFlight === 0 ? { send: true } : { send: false, until: 'response' };
  }
  const kept = reserveOf(allowance.limit);
  if (allowance.remaining - inFlight > kept) return { send: true };
  return { send: false, until: allowance.remaining > kept ? 'response' : allowance.resetAt };
}

/** How many requests of a window are left to others: never all of them, however small the limit. */
export function reserveOf(limit: number): number {
  return Math.max(0, Math.min(Math.floor(limit * RESERVE), limit - 1));
}

/**
 * After a response other than 429. Responses may arrive out of order: within a window the lowest `remaining` counts.
 */
export function afterResponse(allowance: Allowance, headers: RateHeaders | null, now: number): Allowance {
  const inWindow = allowance.knowledge === 'known' && now < allowance.resetAt;
  if (headers === null) return inWindow ? allowance : { ...allowance, knowledge: 'none', unexplained429s: 0 };
  // "0 seconds" means a fraction of one; taken literally, it would let several first requests through within that
  // second.
  const resetAt = now + Math.max(headers.resetSeconds, 1) * 1_000;
  const sameWindow = inWindow && Math.abs(resetAt - allowance.resetAt) <= SAME_WINDOW_MS;
  return {
    ...allowance,
    knowledge: 'known',
    limit: headers.limit,
    remaining: sameWindow ? Math.min(allowance.remaining, headers.remaining) : headers.remaining,
    resetAt: sameWindow ? Math.max(allowance.resetAt, resetAt) : resetAt,
    unexplained429s: 0,
  };
}

/**
 * After a 429: all requests pause until the window ends. Calendly does not document `Retry-After`; it is honored when
 * present. A 429 without headers, or with a `Remaining` above 0, came from a CDN or a proxy: those pauses grow from a
 * second to a whole window.
 * @param jitter 0 to 1, spread over one second, so that several processes do not return at the same moment
 */
export function after429(
  allowance: Allowance,
  headers: RateHeaders | null,
  retryAfterSeconds: number | null,
  now: number,
  jitter: number,
): Allowance {
  const statedDelay = retryAfterSeconds ?? secondsUntilReset(allowance, headers, now);
  const seconds = Math.max(1, statedDelay ?? UNEXPLAINED_PAUSES_S[allowance.unexplained429s] ?? 60);
  const pausedUntil = Math.max(allowance.pausedUntil, now + (seconds + jitter) * 1_000);
  return {
    // One request goes first after the pause, whatever was known before it.
    knowledge: headers === null && allowance.knowledge !== 'known' ? 'unknown' : 'known',
    limit: headers?.limit ?? allowance.limit,
    remaining: 0,
    resetAt: pausedUntil,
    pausedUntil,
    unexplained429s: statedDelay === null ? allowance.unexplained429s + 1 : 0,
  };
}

/** Seconds until the window ends if the window is used up; null if something else refuses. */
function secondsUntilReset(allowance: Allowance, headers: RateHeaders | null, now: number): number | null {
  if (headers !== null) return headers.remaining === 0 ? headers.resetSeconds : null;
  const usedUp =
    allowance.knowledge === 'known' && allowance.unexplained429s === 0 && allowance.remaining === 0;
  return usedUp && now < allowance.resetAt ? (allowance.resetAt - now) / 1_000 : null;
}

/** The rate-limit headers of a response; null if one is missing or not a number. */
export function readRateHeaders(headers: ResponseHeaders): RateHeaders | null {
  const [limit, remaining, resetSeconds] = ['limit', 'remaining', 'reset'].map((name) => {
    const value = Number(headers[`x-ratelimit-${name}`] || Number.NaN);
    return value >= 0 && Number.isFinite(value) ? value : null;
  });
  if (limit == null || remaining == null || resetSeconds == null) return null;
  // Documented as seconds until the reset. More than an hour can only be a Unix time that a proxy wrote.
  return { limit, remaining, resetSeconds: resetSeconds > 3_600 ? 60 : resetSeconds };
}

/** Seconds of a `Retry-After` header, a number or a date; null if it is missing or invalid. */
export function readRetryAfter(headers: ResponseHeaders, now: number): number | null {
  const text = String(headers['retry-after'] ?? '').trim();
  if (/^\d+$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1_000);
}
