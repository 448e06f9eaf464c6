import { describe, expect, it } from 'vitest';
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
  it('answer a status with its usual body, and then no more', async () => {
    for (const status of [400, 401, 403, 404, 429, 500, 502, 503]) {
      const sandbox = await faulty({ kind: 'status', status });
      const { status: answered, body } = await ask(sandbox, '/users/me');
      expect(answered).toBe(status);
      expect(body).toMatchObject({ title: expect.any(String), message: expect.any(String) });
      expect((await ask(sandbox, '/users/me')).status).toBe(200);
    }
  });

  it('answer a 429 with the allowance used up, with headers of their own, or with none', async () => {
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
    sandbox.control.fail({ kind: 'status', status: 429, bare: true });
    const bare = (await ask(sandbox, '/users/me')).headers;
    expect([...bare.keys()].filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
  });

  it('answer what is no JSON, or not the JSON that was due', async () => {
    const html = await ask(await faulty({ kind: 'html' }), '/users/me');
    expect([html.status, html.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(html.body).toContain('<h1>');
    const page = await ask(
      await faulty({ kind: 'status', status: 502, body: '<h1>Bad gateway</h1>' }),
      '/users/me',
    );
    expect([page.status, page.body]).toEqual([502, '<h1>Bad gateway</h1>']);
    const truncated = await ask(await faulty({ kind: 'truncated' }), '/users/me');
    expect(truncated.body).toMatch(/^\{"resource":\{"uri":/);
    const other = await ask(await faulty({ kind: 'other-shape' }), '/users/me');
    expect(other.body).not.toHaveProperty('resource');
    const empty = await ask(await faulty({ kind: 'empty' }), '/users/me');
    expect([empty.status, empty.body]).toEqual([200, '']);
  });

  it('cut the connection before the answer and within it', async () => {
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

  it('hang until the caller gives up, and do not hold up the end', async () => {
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

  it('send the body in drops', async () => {
    const sandbox = await faulty({ kind: 'slow', ms: 200 });
    const response = await fetch(`${sandbox.url}/users/me`, {
      headers: { authorization: `Bearer ${sandbox.hosts[0]?.token}` },
    });
    const drops: Uint8Array[] = [];
    for await (const drop of response.body ?? []) drops.push(drop);
    expect(drops.length).toBeGreaterThan(5);
    expect(JSON.parse(Buffer.concat(drops).toString())).toHaveProperty('resource.uri');
  });

  it('lead to another host', async () => {
    const redirected = await ask(await faulty({ kind: 'redirect', to: 'http://localhost:1' }), '/users/me');
    expect([redirected.status, redirected.headers.get('location')]).toEqual([
      302,
      'http://localhost:1/users/me',
    ]);
    const sandbox = await faulty({ kind: 'next-page-elsewhere' });
    expect((await ask(sandbox, '/users/me')).body).toHaveProperty('resource.uri');
    const { body } = await ask(sandbox, eventsPath(sandbox));
    expect(new URL(body.pagination.next_page).origin).toBe('http://elsewhere.invalid');
    expect(body.collection).toHaveLength(20);
  });

  it('list a page twice', async () => {
    const sandbox = await faulty({ kind: 'page-twice', match: 'page_token' });
    const { rows, pages } = await readAll(sandbox, eventsPath(sandbox, { count: '10' }));
    expect([rows.length, pages]).toEqual([40, 4]);
    expect(new Set(rows.map(({ uri }) => uri)).size).toBe(30);
  });

  it('refuse a page token as stale, and no first page', async () => {
    const sandbox = await faulty({ kind: 'stale-token' });
    const first = await ask(sandbox, eventsPath(sandbox));
    expect(first.status).toBe(200);
    const { status, body } = await ask(sandbox, first.body.pagination.next_page);
    expect(status).toBe(400);
    expect(body.details).toEqual([{ parameter: 'page_token', message: 'is invalid' }]);
    expect((await ask(sandbox, first.body.pagination.next_page)).status).toBe(200);
  });

  it('hit only what they are meant for: path, method, after how many, how many', async () => {
    const sandbox = await faulty({ kind: 'status', match: '/invitees$', method: 'get', after: 2, count: 2 });
    const { event } = sandbox.control.book();
    const path = new URL(event.uri).pathname;
    const statuses = [];
    for (let round = 0; round < 6; round++) {
      expect((await ask(sandbox, path)).status).toBe(200);
      statuses.push((await ask(sandbox, `${path}/invitees`)).status);
    }
    expect(statuses).toEqual([200, 200, 500, 500, 200, 200]);
    expect(sandbox.control.faults()).toEqual([]);
  });

  it('hit at a rate, the same ones for the same seed', async () => {
    const run = async () => {
      const sandbox = await testSandbox({ events: 0, seed: 7 });
      sandbox.control.fail({ kind: 'status', status: 503, rate: 0.3, count: null });
      const statuses = [];
      for (let round = 0; round < 40; round++) statuses.push((await ask(sandbox, '/users/me')).status);
      expect(sandbox.control.faults()).toMatchObject([
        { hits: statuses.filter((one) => one === 503).length },
      ]);
      sandbox.control.clearFaults();
      expect((await ask(sandbox, '/users/me')).status).toBe(200);
      return statuses;
    };
    const statuses = await run();
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(await run()).toEqual(statuses);
  });
});
