/** The throttle against a model of Calendly's rate limit, and its calculations. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  after429,
  afterResponse,
  decide,
  readRateHeaders,
  readRetryAfter,
  reserveOf,
  unknownAllowance,
} from '../../src/calendly/rate-limit.js';
import { createThrottle } from '../../src/calendly/throttle.js';
import { createFakeClock } from '../support/clock.js';

interface Model {
  limit: number;
  /** How Reset is written: whole seconds, rounded up, down or to the nearest. */
  rounding: 'ceil' | 'floor' | 'round';
  latency: number;
  /** Where in its window the server's clock stands at the start, in ms. */
  offset: number;
  /** Requests that other programs use up in every window. */
  others: number;
}

/** Sends requests through a throttle to the model; returns the time it took, the 429s, and the lowest Remaining. */
async function simulate(model: Model, requests: number) {
  const clock = createFakeClock();
  const throttle = createThrottle({ clock, random: () => 0.5 });
  const windowOf = () => Math.floor((clock.now() + model.offset) / 60_000);
  let window = windowOf();
  let used = model.others;
  let refused = 0;
  let least = model.limit;
  const answer = () => {
    if (windowOf() !== window) {
      window = windowOf();
      used = model.others;
    }
    const ok = used < model.limit;
    if (ok) used++;
    else refused++;
    const left = 60 - ((clock.now() + model.offset) % 60_000) / 1_000;
    const headers = {
      'x-ratelimit-limit': String(model.limit),
      'x-ratelimit-remaining': String(model.limit - used),
      'x-ratelimit-reset': String(Math[model.rounding](left)),
    };
    least = Math.min(least, model.limit - used);
    return { status: ok ? 200 : 429, headers };
  };
  const one = async () => {
    for (;;) {
      await throttle.acquire();
      const sentAt = clock.now();
      await clock.sleep(model.latency / 2);
      const response = answer();
      await clock.sleep(model.latency / 2);
      throttle.release(response, clock.now() - sentAt);
      if (response.status === 200) return;
    }
  };
  const started = clock.now();
  await clock.run(Promise.all(Array.from({ length: requests }, one)));
  return { ms: clock.now() - started, refused, least };
}

test('the throttle never causes a 429, leaves the reserve, and uses the allowance to within 5 %', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        limit: fc.constantFrom(50, 500),
        rounding: fc.constantFrom('ceil' as const, 'floor' as const, 'round' as const),
        latency: fc.integer({ min: 20, max: 1_500 }),
        offset: fc.integer({ min: 0, max: 59_999 }),
        others: fc.constant(0),
      }),
      async (model) => {
        const requests = model.limit * 5;
        const { ms, refused, least } = await simulate(model, requests);
        expect(refused).toBe(0);
        const usable = model.limit - reserveOf(model.limit);
        // The first window may have begun long before us, so one window more or less is the server's doing.
        const windows = Math.ceil(requests / usable);
        expect(ms).toBeLessThanOrEqual(windows * 60_000 * 1.05 + 2 * model.latency);
        // Probes at the end of a window, which is known to the second only, may take one of the reserve.
        expect(least).toBeGreaterThanOrEqual(reserveOf(model.limit) - 1);
      },
    ),
    { numRuns: 40 },
  );
});

test('the throttle leaves room for other programs that use the same allowance', async () => {
  const model = { limit: 50, rounding: 'ceil' as const, latency: 100, offset: 10_000, others: 30 };
  const { refused, ms } = await simulate(model, 60);
  expect(refused).toBe(0);
  expect(ms).toBeGreaterThan(3 * 60_000 - 15_000);
});

test('a 429 without headers pauses all requests and loses none', async () => {
  const clock = createFakeClock();
  const throttle = createThrottle({ clock, random: () => 0 });
  let refusals = 2;
  const sent: number[] = [];
  const one = async () => {
    for (;;) {
      await throttle.acquire();
      sent.push(clock.now());
      await clock.sleep(10);
      const status = refusals-- > 0 ? 429 : 200;
      throttle.release({ status, headers: {} }, 10);
      if (status === 200) return;
    }
  };
  await clock.run(Promise.all([one(), one(), one()]));
  // One goes ahead each time: 1 s after the first refusal, 2 s after the second.
  expect(sent.map((at) => Math.round(at / 1_000))).toEqual([0, 1, 3, 3, 3]);
  expect(throttle.waitedMs()).toBeGreaterThanOrEqual(3_000);
});

test('an aborted request leaves the queue, and the others are sent', async () => {
  const clock = createFakeClock();
  const throttle = createThrottle({ clock, concurrency: 1 });
  await throttle.acquire();
  const abort = new AbortController();
  const waiting = throttle.acquire(abort.signal);
  const other = throttle.acquire();
  abort.abort(new Error('no longer'));
  await expect(waiting).rejects.toThrow('no longer');
  throttle.release({ status: 200, headers: {} }, 1);
  await other;
});

test('without rate-limit headers no request is held back', () => {
  expect(decide(afterResponse(unknownAllowance, null, 0), 100, 0)).toEqual({ send: true });
});

test('before the first response one request is sent at a time', () => {
  expect(decide(unknownAllowance, 0, 0)).toEqual({ send: true });
  expect(decide(unknownAllowance, 1, 0)).toEqual({ send: false, until: 'response' });
});

test('a 429 pauses until the reset if the window is used up, and briefly if it is not', () => {
  const spent = after429(unknownAllowance, { limit: 50, remaining: 0, resetSeconds: 40 }, null, 0, 0);
  expect(spent.pausedUntil).toBe(40_000);
  const odd = after429(unknownAllowance, { limit: 50, remaining: 30, resetSeconds: 40 }, null, 0, 0);
  expect(odd.pausedUntil).toBe(1_000);
  const known = afterResponse(unknownAllowance, { limit: 50, remaining: 0, resetSeconds: 30 }, 0);
  expect(after429(known, null, null, 10_000, 0).pausedUntil).toBe(30_000);
  let state = unknownAllowance;
  const paused = Array.from({ length: 8 }, () => {
    const before = state.pausedUntil;
    state = after429(state, null, null, before, 0);
    return (state.pausedUntil - before) / 1_000;
  });
  expect(paused).toEqual([1, 2, 5, 10, 20, 40, 60, 60]);
});

test('Retry-After takes precedence over X-RateLimit-Reset', () => {
  const paused = after429(unknownAllowance, { limit: 50, remaining: 0, resetSeconds: 5 }, 30, 1_000, 0);
  expect(paused.pausedUntil).toBe(31_000);
});

test('the lowest Remaining of a window counts, whatever the order of responses', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([10, 20, 30, 40], { minLength: 4 }), (order) => {
      const last = order.reduce(
        (state, remaining) => afterResponse(state, { limit: 50, remaining, resetSeconds: 30 }, 1_000),
        unknownAllowance,
      );
      expect(last.remaining).toBe(10);
    }),
  );
});

test('rate-limit headers that are not numbers are ignored', () => {
  const headers = (reset: string) => ({
    'x-ratelimit-limit': '50',
    'x-ratelimit-remaining': '3',
    'x-ratelimit-reset': reset,
  });
  expect(readRateHeaders(headers('12'))).toEqual({ limit: 50, remaining: 3, resetSeconds: 12 });
  expect(readRateHeaders(headers('soon'))).toBeNull();
  expect(readRateHeaders({})).toBeNull();
  expect(readRateHeaders(headers('1795330000'))?.resetSeconds).toBe(60);
  expect(readRetryAfter({ 'retry-after': '7' }, 0)).toBe(7);
  expect(readRetryAfter({ 'retry-after': new Date(9_000).toUTCString() }, 4_000)).toBe(5);
  expect(readRetryAfter({ 'retry-after': 'later' }, 0)).toBeNull();
});
