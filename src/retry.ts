/** Retries with exponential backoff and jitter, on a clock that tests can replace. Knows nothing of what is retried. */
import { type Clock, systemClock } from './clock.js';
import { retryPace } from './config.js';

export interface RetryOptions {
  /** Attempts after the first one. */
  retries: number;
  /** First pause in ms. Each next pause is twice as long, times a random 1 to 2, and at most 50 times the first. */
  pauseMs: number;
  /** False ends the retries with this error. `retriesDone` counts from 0. */
  shouldRetry(error: unknown, retriesDone: number): boolean;
  /** Called before each pause, in ms. `retriesDone` counts from 0. */
  onRetry?(pauseMs: number, retriesDone: number): void;
  clock?: Clock;
  signal?: AbortSignal | undefined;
}

/**
 * Runs `work` until it succeeds.
 * @throws the last error of `work`, or the signal's reason when it was aborted
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { retries, shouldRetry, clock = systemClock, signal } = options;
  const pauseMs = options.pauseMs * retryPace;
  for (let done = 0; ; done++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (done >= retries || !shouldRetry(error, done)) throw error;
      const ms = Math.min(pauseMs * 2 ** done * (1 + Math.random()), pauseMs * 50);
      options.onRetry?.(ms, done);
      await clock.sleep(ms, signal);
    }
  }
}
