import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { type Answered, ask, eventsPath, testSandbox } from '../support/sandbox.js';

/** What `curl -d BODY URL/_control/PATH` does. */
function order(sandbox: Sandbox, path: string, body?: unknown, method = 'POST'): Promise<Answered> {
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
  return ask(sandbox, `/_control/${path}`, { method, ...(method === 'POST' ? { body: text } : {}) });
}

describe('the control API', () => {
  test('the control API executes every command, and its state is what the API shows', async () => {
    const sandbox = await testSandbox({ events: 10, hosts: 2 });
    const booked = (await order(sandbox, 'book', { host: sandbox.hosts[1]?.email, invitees: 3, limit: 8 }))
      .body;
    const event = booked.event.uri;
    expect((await order(sandbox, 'join', { event })).body.event.invitees_counter.total).toBe(4);
    expect((await order(sandbox, 'cancel', { event, invitee: -1 })).body.event.invitees_counter.active).toBe(
      3,
    );
    expect((await order(sandbox, 'no-show', { event })).body.invitees[0].no_show).not.toBeNull();
    expect((await order(sandbox, 'edit', { event, set: { name: 'X' } })).body.event.name).toBe('X');
    expect((await order(sandbox, 'cancel', { event, reason: 'Ill' })).body.event.status).toBe('canceled');
    const single = (await order(sandbox, 'book', {})).body.event.uri;
    const moved = (await order(sandbox, 'reschedule', { event: single })).body;
    expect(moved.old.invitees[0].new_invitee).toBe(moved.new.invitees[0].uri);
    await order(sandbox, 'delete', { event: single });
    await order(sandbox, 'lose-access', { event: moved.new.event.uri });
    await order(sandbox, 'restore', { event: single });
    const meetings = (await order(sandbox, 'state', undefined, 'GET')).body;
    expect(meetings).toEqual(sandbox.control.state());
    expect(meetings).toHaveLength(22);
    for (const { event: shown, invitees } of meetings) {
      const path = new URL(shown.uri).pathname;
      expect((await ask(sandbox, path)).body.resource).toEqual(shown);
      const listed = (await ask(sandbox, `${path}/invitees?count=100`)).body.collection;
      expect(listed).toEqual(expect.arrayContaining(invitees));
    }
  });

  test('the log holds the requests of the API and not those of the control API', async () => {
    const sandbox = await testSandbox({ events: 3 });
    await ask(sandbox, eventsPath(sandbox, { count: '2' }), { headers: { 'user-agent': 'me/1' } });
    await ask(sandbox, '/users/me', { token: 'wrong' });
    await order(sandbox, 'clock');
    const requests = (await order(sandbox, 'requests', undefined, 'GET')).body;
    expect(requests).toHaveLength(2);
    expect(requests).toEqual(sandbox.requests());
    expect(requests[0]).toMatchObject({
      number: 1,
      method: 'GET',
      path: '/scheduled_events',
      query: expect.stringContaining('count=2'),
      user: sandbox.hosts[0]?.uri,
      user_agent: 'me/1',
      status: 200,
      fault: null,
    });
    expect(requests[1]).toMatchObject({ path: '/users/me', user: null, status: 401 });
    expect(JSON.stringify(requests)).not.toContain('sandbox-token');
    await order(sandbox, 'reset-log');
    expect(sandbox.requests()).toEqual([]);
  });

  test('the control API makes requests fail until the faults are deleted', async () => {
    const sandbox = await testSandbox({ events: 0 });
    await order(sandbox, 'fail', { kind: 'status', status: 503, count: null });
    expect((await ask(sandbox, '/users/me')).status).toBe(503);
    await order(sandbox, 'clear-faults');
    expect((await ask(sandbox, '/users/me')).status).toBe(200);
  });

  test('the control API creates and ends tokens, moves the clock and sets the rate limit', async () => {
    const sandbox = await testSandbox({ events: 0, now: new Date('2026-01-01T00:00:00Z') });
    const { token } = (await order(sandbox, 'grant', { host: 1 })).body;
    expect((await ask(sandbox, '/users/me', { token })).body.resource.uri).toBe(sandbox.hosts[1]?.uri);
    expect((await order(sandbox, 'revoke', { host: 1 })).body.ended).toBeGreaterThan(1);
    expect((await ask(sandbox, '/users/me', { token })).status).toBe(401);
    expect((await order(sandbox, 'clock', { advance: '36h' })).body.now).toMatch(/^2026-01-02T12:00/);
    await order(sandbox, 'set', { rate_limit: 7 });
    expect((await ask(sandbox, '/users/me')).headers.get('x-ratelimit-limit')).toBe('7');
  });

  test.each([
    ['book', 'no json', /not valid JSON/],
    ['book', { hosts: 1 }, /hosts/],
    ['cancel', {}, /event/],
    ['cancel', { event: 'x' }, /no event x/],
    ['fail', { kind: 'explode' }, /kind/],
    ['fail', { kind: 'status', rate: 2 }, /rate/],
    ['clock', { advance: 'a while' }, /not a valid duration/],
    ['revoke', {}, /no such token/],
    ['revoke', { token: 'unknown' }, /no such token/],
  ])('POST %s with %j is refused with the reason', async (path, body, message) => {
    const sandbox = await testSandbox({ events: 0 });
    const answer = await order(sandbox, path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(message);
  });

  test('an unknown path of the control API is answered with the known ones', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { status, body } = await order(sandbox, 'explode');
    expect(status).toBe(404);
    expect(body.error.message).toContain('reschedule, no-show');
  });
});

describe('the programmatic sandbox', () => {
  test('a listener can change the account between two requests', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { event } = sandbox.control.book();
    const stop = sandbox.onRequest(({ path }) => {
      if (path.endsWith('/invitees')) sandbox.control.delete({ event: event.uri });
    });
    expect((await ask(sandbox, eventsPath(sandbox))).body.collection).toHaveLength(1);
    expect((await ask(sandbox, `${new URL(event.uri).pathname}/invitees`)).status).toBe(404);
    stop();
    sandbox.control.restore({ event: event.uri });
    expect((await ask(sandbox, `${new URL(event.uri).pathname}/invitees`)).status).toBe(200);
  });
});

describe('OAuth', () => {
  const client = { client_id: 'sandbox-client', client_secret: 'sandbox-client-secret' };
  const exchange = (sandbox: Sandbox, form: Record<string, string>) =>
    ask(sandbox, '/oauth/token', {
      method: 'POST',
      body: String(new URLSearchParams(form)),
      headers: { authorization: '', 'content-type': 'application/x-www-form-urlencoded' },
    });

  test('a code and a refresh token each give one token pair, once', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { code } = sandbox.control.grant({ host: 1 });
    const first = await exchange(sandbox, { ...client, grant_type: 'authorization_code', code });
    expect(first.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 7200,
      owner: sandbox.hosts[1]?.uri,
    });
    const refresh = { ...client, grant_type: 'refresh_token', refresh_token: first.body.refresh_token };
    const second = await exchange(sandbox, refresh);
    expect(second.status).toBe(200);
    expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
    expect((await ask(sandbox, '/users/me', { token: second.body.access_token })).status).toBe(200);
    const third = await exchange(sandbox, refresh);
    expect([third.status, third.body.error]).toEqual([400, 'invalid_grant']);
    expect(third.body.error_description).toEqual(expect.any(String));
  });

  test('an invalid token request is answered with the error codes of OAuth', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const errors = [];
    for (const form of [{}, { grant_type: 'refresh_token' }, { ...client, grant_type: 'password' }]) {
      errors.push((await exchange(sandbox, form)).body.error);
    }
    expect(errors).toEqual(['invalid_request', 'invalid_client', 'unsupported_grant_type']);
    const json = await ask(sandbox, '/oauth/token', {
      method: 'POST',
      body: JSON.stringify({ ...client, grant_type: 'refresh_token' }),
      headers: { 'content-type': 'application/json' },
    });
    expect([json.status, json.body.error]).toEqual([400, 'invalid_request']);
  });

  test('eight token requests are allowed in a minute', async () => {
    const sandbox = await testSandbox({ events: 0 });
    let { refresh_token } = sandbox.control.grant().pair;
    const statuses = [];
    for (let round = 0; round < 9; round++) {
      const { status, body } = await exchange(sandbox, {
        ...client,
        grant_type: 'refresh_token',
        refresh_token,
      });
      statuses.push(status);
      refresh_token = body.refresh_token;
    }
    expect(statuses).toEqual([...Array(8).fill(200), 429]);
  });
});
