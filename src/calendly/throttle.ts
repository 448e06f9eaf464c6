/**
 * The gate that every request of one account passes: it holds the allowance and the concurrency, and lets requests through in
 * the order in which they came. One gate per Calendly user, because the allowance is the user's. The arithmetic is in
 * `pacing.ts` and `concurrency.ts`.
 */
import type { Clock } from '../clock.js';
import { afterSuccess, afterTrouble, DEFAULT_WIDEST, startingConcurrency } from './concurrency.js';
import {
  afterAnswer,
  afterRefusal,
  decide,
  readRateHeaders,
  readRetryAfter,
  unknownAllowance,
} from './rate-limit.js';

export interface GateOptions {
  clock: Clock;
  /** Most requests under way at once. */
  concurrency?: number | undefined;
  /** Share of the allowance left to others, 0 to 1. */
  reserve?: number | undefined;
  /** 0 to 1; spreads the ends of pauses. */
  random?: () => number;
}

export interface Gate {
  /** Resolves when one request may be sent; every enter needs one leave. Rejects when the signal is aborted first. */
  enter(signal?: AbortSignal): Promise<void>;
  /** The request was answered (any status) or failed (null), `latencyMs` after it was sent. */
  leave(answer: { status: number; headers: Headers } | null, latencyMs: number): void;
  /** When the gate opens again, in ms since 1970, while it holds requests back for the rate limit; else null. */
  waitingUntil(): number | null;
  /** Time during which requests waited for the rate limit, in ms of wall clock. */
  waitedMs(): number;
}

const LONGEST_503_PAUSE_S = 60;

/** Makes the gate of one account. */
export function createGate(options: GateOptions): Gate {
  const { clock, concurrency: widest = DEFAULT_WIDEST, reserve, random = Math.random } = options;
  let allowance = unknownAllowance;
  let concurrency = startingConcurrency(widest);
  let inFlight = 0;
  let held: { since: number; until: number } | null = null;
  let waitedMs = 0;
  let alarm: AbortController | null = null;
  const waiters: { pass(): void }[] = [];

  const hold = (until: number | null) => {
    const now = clock.now();
    if (held) waitedMs += Math.max(0, now - held.since);
    held = until === null ? null : { since: now, until };
  };

  const setAlarm = (at: number) => {
    const mine = new AbortController();
    alarm = mine;
    clock.sleep(at - clock.now() + 1, mine.signal).then(
      () => {
        if (alarm === mine) pump();
      },
      () => {}, // Aborted by a newer decision, which has its own alarm.
    );
  };

  function pump(): void {
    alarm?.abort();
    alarm = null;
    while (waiters.length > 0 && inFlight < Math.floor(concurrency.width)) {
      const decision = decide(allowance, inFlight, clock.now(), reserve);
      if (!decision.send) {
        // With answers under way the next of them calls again; a time needs an alarm.
        hold(decision.until === 'answer' ? null : decision.until);
        if (decision.until !== 'answer') setAlarm(decision.until);
        return;
      }
      inFlight++;
      waiters.shift()?.pass();
    }
    hold(null);
  }

  return {
    enter(signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const abort = () => {
          waiters.splice(waiters.indexOf(waiter), 1);
          reject(signal?.reason);
          pump();
        };
        const waiter = {
          pass() {
            signal?.removeEventListener('abort', abort);
            resolve();
          },
        };
        signal?.addEventListener('abort', abort, { once: true });
        waiters.push(waiter);
        if (waiters.length === 1) pump();
      });
    },
    leave(answer, latencyMs) {
      inFlight--;
      const now = clock.now();
      const troubled = answer === null || answer.status >= 500;
      concurrency = troubled
        ? afterTrouble(concurrency, now, widest)
        : afterSuccess(concurrency, latencyMs, now, widest);
      if (answer !== null) {
        const rate = readRateHeaders(answer.headers);
        const retryAfter = readRetryAfter(answer.headers, now);
        if (answer.status === 429) allowance = afterRefusal(allowance, rate, retryAfter, now, random());
        // A 5xx page of some proxy without headers says nothing about Calendly's.
        else if (rate !== null || answer.status < 400) allowance = afterAnswer(allowance, rate, now);
        if (answer.status === 503 && retryAfter !== null) {
          const pausedUntil = now + Math.min(retryAfter, LONGEST_503_PAUSE_S) * 1_000;
          allowance = { ...allowance, pausedUntil: Math.max(allowance.pausedUntil, pausedUntil) };
        }
      }
      pump();
    },
    waitingUntil: () => held?.until ?? null,
    waitedMs: () => waitedMs + (held ? Math.max(0, clock.now() - held.since) : 0),
  };
}
