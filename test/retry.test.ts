import { expect, test } from 'vitest';
import { retryPace } from '../src/config.js';
import { retry } from '../src/retry.js';
import { createFakeClock } from './support/clock.js';

const options = { retries: 8, pauseMs: 100 / retryPace, shouldRetry: () => true };

test('pauses between retries double, with jitter, up to fifty times the first', async () => {
  const clock = createFakeClock();
  const attempts: number[] = [];
  const work = async () => {
    attempts.push(clock.now());
    throw new Error('down');
  };
  await expect(clock.run(retry(work, { ...options, clock }))).rejects.toThrow('down');
  const pauses = attempts.slice(1).map((at, index) => Math.round(at - (attempts[index] ?? 0)));
  expect(pauses).toHaveLength(8);
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(Math.min(100 * 2 ** index, 5_000));
    expect(pause).toBeLessThanOrEqual(Math.min(200 * 2 ** index, 5_000));
  }
});

test('an error that a retry cannot fix is thrown at once', async () => {
  let attempts = 0;
  const work = async () => {
    attempts++;
    throw new Error('wrong password');
  };
  await expect(retry(work, { ...options, shouldRetry: () => false })).rejects.toThrow('wrong password');
  expect(attempts).toBe(1);
});

test('an abort ends a pause with the reason of the abort', async () => {
  const clock = createFakeClock();
  const abort = new AbortController();
  const work = async () => {
    queueMicrotask(() => abort.abort(new Error('stopped')));
    throw new Error('down');
  };
  await expect(retry(work, { ...options, clock, signal: abort.signal })).rejects.toThrow('stopped');
});
