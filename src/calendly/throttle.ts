/**
 * The throttle that every request of one account passes. It holds the allowance and the concurrency, and lets requests
 * through in order. One per Calendly user, because the allowance belongs to the user. The calculations are in
 * `rate-limit.ts` and `concurrency.ts`.
 */
import type { Clock } from '../clock.js';
import { afterFailure, afterSuccess, startingConcurrency } from './concurrency.js';
import { pauseError } from './errors.js';
import {
  type Allowance,
  after429,
  afterResponse,
  decide,
  readRateHeaders,
  readRetryAfter,
  unknownAllowance,
} from './rate-limit.js';
import type { HttpResponse } from './transport.js';

export interface ThrottleOptions {
  clock: Clock;
  /** Max requests in flight. */
  concurrency?: number | undefined;
  /** 0 to 1; spreads the ends of pauses. */
  random?: () => number;
  /** Called when requests begin to wait for the rate limit, with how long. */
  onHold?: ((ms: number) => void) | undefined;
}

export interface Throttle {
  /**
   * Resolves when one request may be sent; every acquire needs one release. Rejects with the signal's reason if it is
   * aborted first, and with a `pause` if the rate limit allows no request within five minutes.
   */
  acquire(signal?: AbortSignal): Promise<void>;
  /** The request got a response (any status) or failed (null), `latencyMs` after it was sent. */
  release(response: Pick<HttpResponse, 'status' | 'headers'> | null, latencyMs: number): void;
  /** When requests continue, in ms since 1970, while the rate limit holds them back; else null. */
  waitingUntil(): number | null;
  /** What the last responses said of the rate limit. */
  allowance(): Allowance;
  /** Time during which requests waited for the rate limit, in ms of wall clock. */
  waitedMs(): number;
}

const MAX_503_PAUSE_S = 60;
/** A run does not wait longer for the rate limit: it holds the account, and the next run can continue. */
const MAX_WAIT_MS = 5 * 60_000;

/** Creates the throttle of one account. */
export function createThrottle(options: ThrottleOptions): Throttle {
  const { clock, random = Math.random } = options;
  let allowance: Allowance = unknownAllowance;
  let concurrency = startingConcurrency(options.concurrency);
  let inFlight = 0;
  let held: { since: number; until: number } | null = null;
  let waitedMs = 0;
  let alarm: AbortController | null = null;
  let waiters: { proceed(): void; reject(error: unknown): void }[] = [];

  const heldFor = () => (held ? Math.max(0, clock.now() - held.since) : 0);
  const hold = (until: number | null) => {
    waitedMs += heldFor();
    if (until !== null && until !== held?.until) options.onHold?.(until - clock.now());
    held = until === null ? null : { since: clock.now(), until };
  };

  const setAlarm = (at: number) => {
    const own = new AbortController();
    alarm = own;
    clock.sleep(at - clock.now() + 1, own.signal).then(
      () => alarm === own && sendWaiting(),
      () => {}, // Aborted by a newer decision, which has its own alarm.
    );
  };

  function sendWaiting(): void {
    alarm?.abort();
    alarm = null;
    while (waiters.length > 0 && inFlight < Math.floor(concurrency.width)) {
      const decision = decide(allowance, inFlight, clock.now());
      if (!decision.send) {
        if (typeof decision.until === 'number' && decision.until - clock.now() > MAX_WAIT_MS) {
          const error = pauseError(decision.until, clock.now());
          for (const waiter of waiters.splice(0)) waiter.reject(error);
          break;
        }
        // A pending response calls this function again; a time needs an alarm.
        hold(decision.until === 'response' ? null : decision.until);
        if (decision.until !== 'response') setAlarm(decision.until);
        return;
      }
      inFlight++;
      waiters.shift()?.proceed();
    }
    hold(null);
  }

  return {
    async acquire(signal) {
      signal?.throwIfAborted();
      let abort = () => {};
      const turn = new Promise<void>((proceed, reject) => {
        const waiter = { proceed, reject };
        waiters.push(waiter);
        abort = () => {
          waiters = waiters.filter((other) => other !== waiter);
          reject(signal?.reason);
          sendWaiting();
        };
      });
      signal?.addEventListener('abort', abort, { once: true });
      if (waiters.length === 1) sendWaiting();
      await turn.finally(() => signal?.removeEventListener('abort', abort));
    },
    release(response, latencyMs) {
      inFlight--;
      const now = clock.now();
      const failed = response === null || response.status >= 500;
      concurrency = failed ? afterFailure(concurrency, now) : afterSuccess(concurrency, latencyMs, now);
      if (response !== null) {
        const { status } = response;
        const rate = readRateHeaders(response.headers);
        const retryAfter = readRetryAfter(response.headers, now);
        if (status === 429) allowance = after429(allowance, rate, retryAfter, now, random());
        // A proxy's 5xx page without headers says nothing about Calendly's limit.
        else if (rate !== null || status < 400) allowance = afterResponse(allowance, rate, now);
        if (status === 503 && retryAfter !== null) {
          const pausedUntil = now + Math.min(retryAfter, MAX_503_PAUSE_S) * 1_000;
          allowance = { ...allowance, pausedUntil: Math.max(allowance.pausedUntil, pausedUntil) };
        }
      }
      sendWaiting();
    },
    waitingUntil: () => held?.until ?? null,
    allowance: () => allowance,
    waitedMs: () => waitedMs + heldFor(),
  };
}
