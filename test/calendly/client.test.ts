/** The client on a transport and a clock of the tests. */
import { expect, test } from 'vitest';
import { type ClientOptions, createCalendlyClient } from '../../src/calendly/client.js';
import type { HttpResponse } from '../../src/calendly/transport.js';
import { waitText } from '../../src/cli/sync/output.js';
import { createFakeClock } from '../support/clock.js';

const NOON = Date.parse('2026-11-25T12:00:30Z');
const PROFILE = { resource: { uri: 'https://api.calendly.com/users/U1', email: 'host@example.com' } };
const FORBIDDEN = { title: 'Insufficient scope', message: 'The token lacks a scope' };

function response(status: number, body: unknown, headers: HttpResponse['headers'] = {}): HttpResponse {
  return { status, headers, text: typeof body === 'string' ? body : JSON.stringify(body) };
}

function client(transport: ClientOptions['transport'], options: Partial<ClientOptions> = {}) {
  const clock = createFakeClock(NOON);
  const made = createCalendlyClient({
    baseUrl: 'https://api.calendly.com',
    token: 'T',
    clock,
    transport,
    ...options,
  });
  return Object.assign(made, { clock });
}

test('a 429 that asks for more than five minutes ends all requests at once and says when to try again', async () => {
  const calendly = client(async () => response(429, {}, { 'retry-after': '7200' }));
  const errors = await calendly.clock.run(
    Promise.all([1, 2, 3].map(() => calendly.me().catch((error: unknown) => error))),
  );
  for (const error of errors) {
    expect(error).toMatchObject({
      code: 'calendly_unreachable',
      hint: expect.stringContaining('Try again after 14:01 UTC'),
    });
  }
  expect(calendly.counters().requests).toBe(1);
  expect(calendly.clock.now() - NOON).toBeLessThan(1_000);
});

test('a pause of a day or more is given with its date', async () => {
  const calendly = client(async () => response(429, {}, { 'retry-after': '172800' }));
  await expect(calendly.clock.run(calendly.me())).rejects.toMatchObject({
    hint: expect.stringContaining('after 2026-11-27 12:01 UTC'),
  });
});

test('a 429 that asks for five minutes or less is waited for', async () => {
  let refused = false;
  const calendly = client(async () => {
    if (refused) return response(200, PROFILE);
    refused = true;
    return response(429, {}, { 'retry-after': '290' });
  });
  await calendly.clock.run(calendly.me());
  expect(calendly.clock.now() - NOON).toBeGreaterThanOrEqual(290_000);
  expect(calendly.counters()).toMatchObject({ requests: 2, retries: 1 });
});

test('each wait for a retry or for the rate limit is reported, with what the spinner says', async () => {
  const responses = [
    response(200, PROFILE),
    response(503, {}),
    new Error('cut'),
    response(429, {}, { 'retry-after': '40' }),
    response(200, PROFILE),
  ];
  const texts: string[] = [];
  const transport = async () => {
    const next = responses.shift();
    if (!next || next instanceof Error) throw next;
    return next;
  };
  const calendly = client(transport, { onWait: (wait) => texts.push(waitText(wait)) });
  await calendly.clock.run(calendly.me());
  await calendly.clock.run(calendly.me());
  expect(texts.map((text) => text.replace(/[\d.]+ s …/, 'N s …'))).toEqual([
    'Calendly answers 503; attempt 2 of 6 in N s …',
    'Calendly does not answer (cut); attempt 3 of 6 in N s …',
    "Calendly's rate limit: the next request in N s …",
  ]);
});

test('the missing scope is in the message, whatever Calendly calls the error', async () => {
  const refusals = [
    [{ ...FORBIDDEN, required_scopes: ['users:read'] }, 'lacks a scope: users:read'],
    [{ title: 'Permission Denied', message: 'no', required_scopes: ['users:read'] }, 'users:read'],
    [FORBIDDEN, 'lacks a scope (403'],
  ] as const;
  for (const [body, text] of refusals) {
    const calendly = client(async () => response(403, body));
    await expect(calendly.clock.run(calendly.me())).rejects.toMatchObject({
      code: 'calendly_forbidden',
      message: expect.stringContaining(text),
    });
  }
});

test('a web page instead of JSON is retried and then called unreachable, with status 404 invalid', async () => {
  for (const [status, code] of [
    [200, 'calendly_unreachable'],
    [403, 'calendly_unreachable'],
    [404, 'calendly_invalid_response'],
  ] as const) {
    const calendly = client(async () => response(status, ' <!DOCTYPE html><title>Soon</title>'));
    await expect(calendly.clock.run(calendly.me())).rejects.toMatchObject({ code });
    expect(calendly.counters().requests).toBeGreaterThan(1);
  }
});

test('every failure has a hint', async () => {
  for (const [status, body] of [
    [200, {}],
    [302, ''],
    [400, { title: 'Invalid Argument' }],
    [401, { title: 'Unauthenticated' }],
    [403, { title: 'Permission Denied' }],
    [404, { title: 'Resource Not Found' }],
    [429, ''],
    [500, ''],
  ] as const) {
    const calendly = client(async () => response(status, body));
    await expect(calendly.clock.run(calendly.me())).rejects.toMatchObject({
      hint: expect.stringMatching(/.{10}/),
    });
  }
});

test('a concurrency of 100 means 100 requests in flight', async () => {
  let inFlight = 0;
  let widest = 0;
  const calendly = client(
    async () => {
      widest = Math.max(widest, ++inFlight);
      await calendly.clock.sleep(50);
      inFlight--;
      return response(200, PROFILE);
    },
    { concurrency: 100 },
  );
  await calendly.clock.run(Promise.all(Array.from({ length: 1_000 }, () => calendly.me())));
  expect(widest).toBe(100);
});
