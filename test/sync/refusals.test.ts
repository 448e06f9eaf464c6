/** What a sync does when Calendly refuses many requests for one reason. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

const SCOPE = {
  title: 'Insufficient scope',
  message: 'The token does not have the scope',
  required_scopes: ['scheduled_events:read'],
};
const DENIED = { title: 'Permission Denied', message: 'You may not see this' };

test('a scope that the token lacks ends the run with the first refusal, and the message names it', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 100, rateLimit: 50_000 });
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: '/invitees', body: SCOPE });
  const { user } = await syncing(sandbox, url)({ concurrency: 2 });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_forbidden' } });
  expect(user.error?.message).toContain('scheduled_events:read');
  expect(user.requests).toBeLessThan(10);
});

test('ten equal refusals without one success end the run, and the message gives the reason', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 150, rateLimit: 50_000 });
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: '/invitees', body: DENIED });
  const { user } = await syncing(sandbox, url)({ concurrency: 2 });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_forbidden' } });
  expect(user.error?.message).toContain('first 10 meetings');
  expect(user.error?.message).toContain(DENIED.message);
  expect(user.requests).toBeLessThan(30);
});

test('the most frequent reason of an incomplete run is in its message', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
  const uris = ['+1d', '+2d', '+3d', '+4d', '+5d'].map((start) => sandbox.control.book({ start }).event.uri);
  for (const [index, uri] of uris.slice(0, 3).entries()) {
    const fault =
      index < 2 ? { status: 403, body: DENIED } : { status: 400, body: { title: 'Invalid Argument' } };
    sandbox.control.fail({ kind: 'status', count: null, match: uri.split('/').pop() ?? '', ...fault });
  }
  const { user } = await syncing(sandbox, url)();
  expect(user).toMatchObject({ status: 'failed', new: 5, error: { code: 'incomplete' } });
  expect(user.error?.message).toMatch(/3 of 5 meetings.*\nThe most frequent reason: .*You may not see this/);
});

test('a few events that answer 500 and finish last do not end the run as unreachable', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
  const uris = Array.from(
    { length: 20 },
    (_, day) => sandbox.control.book({ start: `+${day + 1}d` }).event.uri,
  );
  for (const uri of uris.slice(0, 4)) {
    const match = uri.split('/').pop() ?? '';
    sandbox.control.fail({ kind: 'status', status: 500, count: null, match });
  }
  const { user } = await syncing(sandbox, url)({ timing: { retryPauseMs: 200 } });
  expect(user).toMatchObject({ status: 'failed', new: 20, error: { code: 'incomplete' } });
});

test('a pause of hours ends the run, which keeps what it has listed', async () => {
  const { url } = await testDatabase();
  const sandbox = await testSandbox({ events: 50, rateLimit: 50_000 });
  const headers = { 'retry-after': '7200' };
  sandbox.control.fail({ kind: 'status', status: 429, count: null, match: '/invitees', headers });
  const run = syncing(sandbox, url);
  const { user } = await run();
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_unreachable' } });
  expect(user.error?.hint).toMatch(/Try again after \d\d:\d\d UTC/);
  sandbox.control.clearFaults();
  expect((await run()).user).toMatchObject({ status: 'complete' });
});
