import { describe, expect, test } from 'vitest';
import type { FaultInput } from '../../src/sandbox/faults.js';
import { ask, eventsPath, readAll, testSandbox } from '../support/sandbox.js';

async function faulty(fault: FaultInput) {
  const sandbox = await testSandbox({ events: 30 });
  sandbox.control.fail(fault);
  return sandbox;
}

/** How a request that gets no whole answer fails, as undici names it. */
async function failureOf(request: Promise<unknown>): Promise<string> {
  const failed = await request.then(
    () => null,
    (thrown: Error & { cause?: { code?: string } }) => thrown.cause?.code ?? thrown.message,
  );
  return String(failed);
}

describe('faults', () => {
  test('a status fault answers once with the usual body of that status', async () => {
    for (const status of [400, 401, 403, 404, 429, 500, 502, 503]) {
      const sandbox = await faulty({ kind: 'status', status });
      const { status: answered, body } = await ask(sandbox, '/users/me');
      expect(answered).toBe(status);
      expect(body).toMatchObject({ title: expect.any(String), message: expect.any(String) });
      expect((await ask(sandbox, '/users/me')).status).toBe(200);
    }
  });

  test('a 429 comes with the rate limit used up, or with headers of its own', async () => {
    const sandbox = await testSandbox({ events: 0 });
    sandbox.control.fail({ kind: 'status', status: 429 });
    expect((await ask(sandbox, '/users/me')).headers.get('x-ratelimit-remaining')).toBe('0');
    sandbox.control.fail({
      kind: 'status',
      status: 429,
      headers: { 'X-RateLimit-Reset': '1', 'Retry-After': '2' },
    });
    const own = (await ask(sandbox, '/users/me')).headers;
    expect([own.get('x-ratelimit-reset'), own.get('retry-after')]).toEqual(['1', '2']);
  });

  test('a fault can answer with something else than the expected JSON', async () => {
    const page = await ask(
      await faulty({ kind: 'status', status: 502, body: '<h1>Bad gateway</h1>' }),
      '/users/me',
    );
    expect([page.status, page.body]).toEqual([502, '<h1>Bad gateway</h1>']);
    const truncated = await ask(await faulty({ kind: 'truncated' }), '/users/me');
    expect(truncated.body).toMatch(/^\{"resource":\{"uri":/);
  });

  test('a fault can reset the connection before the answer and in the middle of it', async () => {
    const before = await faulty({ kind: 'reset' });
    expect(await failureOf(ask(before, '/users/me'))).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect(before.requests()).toMatchObject([{ fault: 'reset', status: null }]);
    const within = await faulty({ kind: 'reset-body' });
    const response = await fetch(new URL(eventsPath(within), within.url), {
      headers: { authorization: `Bearer ${within.hosts[0]?.token}` },
    });
    expect(response.status).toBe(200);
    expect(await failureOf(response.text())).toMatch(/ECONNRESET|terminated|UND_ERR_SOCKET/);
    expect((await ask(within, '/users/me')).status).toBe(200);
  });

  test('a hanging request ends when the caller gives up and does not delay closing the sandbox', async () => {
    const sandbox = await faulty({ kind: 'hang', count: null });
    const given = fetch(`${sandbox.url}/users/me`, {
      headers: { authorization: `Bearer ${sandbox.hosts[0]?.token}` },
      signal: AbortSignal.timeout(100),
    });
    await expect(given).rejects.toThrow(/timeout/);
    const waiting = failureOf(ask(sandbox, '/users/me'));
    await expect.poll(() => sandbox.requests().length).toBe(2);
    await sandbox.close();
    expect(await waiting).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
  });

  test('a body that stops in the middle ends when the caller gives up', async () => {
    const sandbox = await faulty({ kind: 'hang-body' });
    const response = await fetch(`${sandbox.url}/users/me`, {
      headers: { authorization: `Bearer ${sandbox.hosts[0]?.token}` },
      signal: AbortSignal.timeout(500),
    });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow(/timeout/);
  });

  test('a fault can lead to another host by the next page', async () => {
    const sandbox = await faulty({ kind: 'next-page-elsewhere' });
    expect((await ask(sandbox, '/users/me')).body).toHaveProperty('resource.uri');
    const { body } = await ask(sandbox, eventsPath(sandbox));
    expect(new URL(body.pagination.next_page).origin).toBe('http://elsewhere.invalid');
    expect(body.collection).toHaveLength(20);
  });

  test('a fault can list a page twice', async () => {
    const sandbox = await faulty({ kind: 'page-twice', match: 'page_token' });
    const { rows, pages } = await readAll(sandbox, eventsPath(sandbox, { count: '10' }));
    expect([rows.length, pages]).toEqual([40, 4]);
    expect(new Set(rows.map(({ uri }) => uri)).size).toBe(30);
  });

  test('a strict-times fault refuses a query time with three fraction digits and no other', async () => {
    const sandbox = await faulty({ kind: 'strict-times', count: null });
    const statuses = [];
    for (const fraction of ['', '.12', '.123', '.123456']) {
      const path = eventsPath(sandbox, { min_start_time: `2026-03-10T12:00:00${fraction}Z` });
      statuses.push((await ask(sandbox, path)).status);
    }
    expect(statuses).toEqual([200, 200, 400, 200]);
    const { body } = await ask(sandbox, eventsPath(sandbox, { max_start_time: '2026-03-10T12:00:00.000Z' }));
    expect(body.details).toMatchObject([{ parameter: 'max_start_time' }]);
  });

  test('a short listing leaves rows out of a page and links the next page as usual', async () => {
    const sandbox = await faulty({ kind: 'short-listing', rows: 3 });
    const { rows, pages } = await readAll(sandbox, eventsPath(sandbox, { count: '10' }));
    expect([rows.length, pages]).toEqual([27, 3]);
    expect((await readAll(sandbox, eventsPath(sandbox))).rows).toHaveLength(30);
  });

  test('a short listing of invitees has fewer of them than the counter says', async () => {
    const sandbox = await faulty({ kind: 'short-listing', match: '/invitees' });
    const { event } = sandbox.control.book({ invitees: 3 });
    const { collection, pagination } = (await ask(sandbox, `${new URL(event.uri).pathname}/invitees`)).body;
    expect([collection.length, pagination.count, event.invitees_counter.active]).toEqual([2, 2, 3]);
  });

  test('a lagging answer knows no change since the fault was asked for, and the next answer does', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { control } = sandbox;
    const { event, invitees } = control.book({ start: '+1d' });
    const path = new URL(event.uri).pathname;
    const { event: gone } = control.book({ start: '+2d' });
    control.fail({ kind: 'lagging', count: 4 });
    const moved = control.reschedule({ event: event.uri, start: '+3h' }).new.event;
    control.delete({ event: gone.uri });
    expect((await ask(sandbox, eventsPath(sandbox))).body.collection).toEqual([event, gone]);
    expect((await ask(sandbox, path)).body.resource).toEqual(event);
    expect((await ask(sandbox, `${path}/invitees`)).body.collection).toEqual(invitees);
    expect((await ask(sandbox, new URL(moved.uri).pathname)).status).toBe(404);
    const { rows } = await readAll(sandbox, eventsPath(sandbox));
    expect(rows.map(({ uri }) => uri)).toEqual([moved.uri, event.uri]);
    expect((await ask(sandbox, path)).body.resource.status).toBe('canceled');
  });

  test('a fault hits only the path that it names, after and as often as it says', async () => {
    const sandbox = await faulty({ kind: 'status', match: '/invitees', after: 2, count: 2 });
    const { event } = sandbox.control.book();
    const path = new URL(event.uri).pathname;
    const statuses = [];
    for (let round = 0; round < 6; round++) {
      expect((await ask(sandbox, path)).status).toBe(200);
      statuses.push((await ask(sandbox, `${path}/invitees`)).status);
    }
    expect(statuses).toEqual([200, 200, 500, 500, 200, 200]);
  });

  test('a fault with a rate hits the same requests for the same seed', async () => {
    const run = async () => {
      const sandbox = await testSandbox({ events: 0, seed: 7 });
      sandbox.control.fail({ kind: 'status', status: 503, rate: 0.3, count: null });
      const statuses = [];
      for (let round = 0; round < 40; round++) statuses.push((await ask(sandbox, '/users/me')).status);
      sandbox.control.clearFaults();
      expect((await ask(sandbox, '/users/me')).status).toBe(200);
      return statuses;
    };
    const statuses = await run();
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(await run()).toEqual(statuses);
  });
});
