/** Responses that Calendly should never send, from a server whose responses the test defines. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { type SyncOptions, sync } from '../../src/sync/sync.js';
import { testDatabase } from '../support/database.js';

const API = 'https://api.calendly.com';
const START = new Date(Date.now() + 86_400_000).toISOString();

function event(id: string, more: object = {}) {
  return {
    uri: `${API}/scheduled_events/${id}`,
    name: id,
    status: 'active',
    start_time: START,
    end_time: START,
    invitees_counter: { total: 1, active: 1, limit: 1 },
    created_at: '2026-01-01T00:00:00Z',
    updated_at: '2026-01-01T00:00:00Z',
    ...more,
  };
}

/** Starts a Calendly that lists these pages and whose events have one invitee each. */
async function standIn(pages: unknown[][], answer?: (path: string) => unknown) {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const page = Number(url.searchParams.get('page_token') ?? 0);
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const body =
      answer?.(url.pathname) ??
      (url.pathname === '/users/me'
        ? { resource: { uri: `${API}/users/U1`, email: 'host@example.com', name: 'Host' } }
        : url.pathname.endsWith('/invitees')
          ? {
              collection: [{ uri: `${API}${url.pathname}/I`, email: 'a@example.com', status: 'active' }],
              pagination: {},
            }
          : {
              collection: pages[page] ?? [],
              pagination: {
                next_page:
                  page + 1 < pages.length ? `${origin}/scheduled_events?page_token=${page + 1}` : null,
              },
            });
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function run(url: string, databaseUrl: string, more: Partial<SyncOptions> = {}) {
  const database = openServer(databaseUrl);
  onTestFinished(() => database.close());
  const { users } = await sync({
    config: { calendlyToken: 'token', calendlyApiUrl: url },
    database,
    signal: new AbortController().signal,
    onEvent: () => {},
    timing: { retryPauseMs: 1 },
    ...more,
  });
  return users[0];
}

test('a URI listed twice on a page, or again on the next one, is one meeting in its newest state', async () => {
  const { url, sql } = await testDatabase();
  const older = event('A', { name: 'older' });
  const newer = event('A', { name: 'newer', updated_at: '2026-01-01T00:00:00.000001Z' });
  const { url: calendly } = await standIn([
    [newer, older, event('B')],
    [event('B'), event('C')],
  ]);
  expect(await run(calendly, url)).toMatchObject({ status: 'complete', new: 3, fetched: { active: 3 } });
  expect((await sql`select title from meetings order by title`).map(({ title }) => title)).toEqual([
    'B',
    'C',
    'newer',
  ]);
});

test('an empty page does not end a listing', async () => {
  const { url } = await testDatabase();
  const { url: calendly } = await standIn([[event('A')], [], [], [event('B')]]);
  expect(await run(calendly, url)).toMatchObject({ status: 'complete', new: 2 });
});

test('a listed row with a missing or invalid URI fails the run, and all others are stored', async () => {
  const { url, sql } = await testDatabase();
  const { url: calendly } = await standIn([[event('A'), { name: 'nameless' }, 7, event('B')]]);
  const first = await run(calendly, url);
  expect(first).toMatchObject({ status: 'failed', new: 2, error: { code: 'incomplete' } });
  const odd = await standIn([[event('A'), event('B'), event('C', { uri: 'not a uri' })]]);
  expect(await run(odd.url, url)).toMatchObject({
    status: 'failed',
    unchanged: 2,
    error: { code: 'incomplete' },
  });
  expect(await sql`select 1 from meetings`).toHaveLength(2);
});

test('invalid values are kept in raw, and their columns stay null', async () => {
  const { url, sql } = await testDatabase();
  const odd = event('A', {
    name: 42,
    location: 'the moon',
    start_time: 'tomorrow',
    invitees_counter: { total: 'many', active: -1 },
    event_memberships: 'me',
    extra: { kept: ['\u0000', '\ud800'] },
  });
  const { url: calendly } = await standIn([[odd]]);
  expect(await run(calendly, url)).toMatchObject({ status: 'complete', new: 1 });
  const [row] = await sql`select title, location, start_time, invitees_total, raw from meetings`;
  expect(row).toMatchObject({ title: null, location: null, start_time: null, invitees_total: null });
  expect(row?.raw).toMatchObject({ name: 42, location: 'the moon', extra: { kept: ['\ufffd', '\ufffd'] } });
  expect(await run(calendly, url)).toMatchObject({ status: 'complete', unchanged: 1, requests: 1 });
});

test('a profile without a URI fails the sync, and no user is created', async () => {
  const { url, sql } = await testDatabase();
  const { url: calendly } = await standIn([], (path) =>
    path === '/users/me' ? { resource: { email: 'x' } } : undefined,
  );
  expect(await run(calendly, url)).toMatchObject({
    status: 'failed',
    error: { code: 'calendly_invalid_response' },
  });
  expect(await sql`select 1 from users`).toHaveLength(0);
});
