import { describe, expect, test } from 'vitest';
import { ask, eventsPath, testSandbox } from '../support/sandbox.js';

describe('tokens', () => {
  test('a token identifies its user at /users/me', async () => {
    const sandbox = await testSandbox({ events: 0 });
    for (const [host, { uri, email }] of sandbox.hosts.entries()) {
      const { status, body } = await ask(sandbox, '/users/me', { host });
      expect(status).toBe(200);
      expect(body.resource).toMatchObject({ uri, email, current_organization: sandbox.organization });
    }
  });

  test('a token that is unknown, revoked or expired gets a 401 with the reason', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { control } = sandbox;
    const [revoked, expired] = [control.grant().token, control.grant().token];
    control.revoke({ token: revoked });
    control.revoke({ token: expired, how: 'expired' });
    const { access_token: aged } = control.grant().pair;
    control.clock({ advance: '121m' });
    const messages = [];
    for (const token of ['nonsense', revoked, expired, aged]) {
      const { status, body } = await ask(sandbox, '/users/me', { token });
      expect(status).toBe(401);
      expect(body.title).toBe('Unauthenticated');
      messages.push(body.message);
    }
    expect(messages).toEqual([
      'The access token is invalid',
      'The access token was revoked',
      'The access token expired',
      'The access token expired',
    ]);
    expect((await fetch(`${sandbox.url}/users/me`)).status).toBe(401);
  });

  test('a token with scopes gets a 403 that names the missing scope', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { token } = sandbox.control.grant({ scopes: ['users:read'] });
    expect((await ask(sandbox, '/users/me', { token })).status).toBe(200);
    const { status, body } = await ask(sandbox, eventsPath(sandbox), { token });
    expect(status).toBe(403);
    expect(body).toMatchObject({ title: 'Insufficient scope', required_scopes: ['scheduled_events:read'] });
  });
});

describe('permissions', () => {
  test('the owner and an admin can list the organization, a plain member cannot', async () => {
    const sandbox = await testSandbox({ events: 10, hosts: 4 });
    const path = `/scheduled_events?organization=${sandbox.organization}&count=100`;
    const statuses = [];
    for (const host of [0, 1, 2, 3]) statuses.push((await ask(sandbox, path, { host })).status);
    expect(statuses).toEqual([200, 403, 200, 403]);
    expect((await ask(sandbox, path)).body.collection).toHaveLength(40);
    expect((await ask(sandbox, path, { host: 1 })).body).toEqual({
      title: 'Permission Denied',
      message: 'You do not have permission to access this resource.',
    });
  });

  test("nobody can list another user's meetings by user alone", async () => {
    const sandbox = await testSandbox({ events: 10 });
    const path = eventsPath(sandbox, {}, 1);
    expect((await ask(sandbox, path, { host: 0 })).status).toBe(403);
    const { status } = await ask(sandbox, `${path}&organization=${sandbox.organization}`);
    expect(status).toBe(200);
    const stranger = '/scheduled_events?user=https://api.calendly.com/users/AAAAAAAAAAAAAAAA';
    expect((await ask(sandbox, stranger)).body.message).toBe('This user is not in your organization');
    const elsewhere =
      '/scheduled_events?organization=https://api.calendly.com/organizations/AAAAAAAAAAAAAAAA';
    expect((await ask(sandbox, elsewhere)).status).toBe(403);
  });

  test("a plain member cannot see another host's meeting", async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { event } = sandbox.control.book({ host: 0 });
    const path = new URL(event.uri).pathname;
    expect((await ask(sandbox, path, { host: 2 })).status).toBe(200);
    for (const below of [path, `${path}/invitees`]) {
      const { status, body } = await ask(sandbox, below, { host: 1 });
      expect(status).toBe(403);
      expect(body.message).toBe('You are not allowed to view this event');
    }
  });

  test('the owner sees all memberships, a plain member only their own', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const path = `/organization_memberships?organization=${sandbox.organization}`;
    const { body } = await ask(sandbox, `${path}&count=2`);
    expect(body.collection.map(({ role }: { role: string }) => role)).toEqual(['owner', 'user']);
    expect(body.collection[1].user).toMatchObject({
      uri: sandbox.hosts[1]?.uri,
      email: sandbox.hosts[1]?.email,
    });
    expect((await ask(sandbox, body.pagination.next_page)).body.collection).toHaveLength(1);
    expect((await ask(sandbox, path, { host: 1 })).status).toBe(403);
    const own = await ask(sandbox, `/organization_memberships?user=${sandbox.hosts[1]?.uri}`, { host: 1 });
    expect(own.body.collection).toHaveLength(1);
  });

  test('the organization is shown to its members, another one is not found', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { status, body } = await ask(sandbox, new URL(sandbox.organization).pathname, { host: 1 });
    expect(status).toBe(200);
    expect(body.resource).toMatchObject({
      uri: sandbox.organization,
      plan: expect.any(String),
      stage: 'paid',
    });
    expect((await ask(sandbox, '/organizations/AAAAAAAAAAAAAAAA')).status).toBe(404);
  });

  test('event types are listed without the retired ones that meetings still name', async () => {
    const sandbox = await testSandbox({ events: 100 });
    const { body } = await ask(sandbox, `/event_types?user=${sandbox.hosts[0]?.uri}&count=100`);
    const offered = new Set(body.collection.map(({ uri }: { uri: string }) => uri));
    const named = sandbox.control.state().flatMap(({ event }) => event.event_type ?? []);
    const retired = named.filter((uri) => !offered.has(uri));
    expect(offered.size).toBe(5);
    expect(retired.length).toBeGreaterThan(0);
    expect((await ask(sandbox, '/event_types')).status).toBe(400);
    expect((await ask(sandbox, new URL(body.collection[0].uri).pathname)).status).toBe(200);
    expect((await ask(sandbox, '/event_types/AAAAAAAAAAAAAAAA')).status).toBe(404);
  });
});

describe('the rate limit', () => {
  test('the rate limit is shared by all tokens of a user, reported in headers, and renewed after a minute', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 3 });
    const { token } = sandbox.control.grant({ host: 0 });
    const remaining = [];
    for (const one of [token, undefined, token]) {
      const { status, headers } = await ask(sandbox, '/users/me', one === undefined ? {} : { token: one });
      expect(status).toBe(200);
      expect(headers.get('x-ratelimit-limit')).toBe('3');
      expect(Number(headers.get('x-ratelimit-reset'))).toBeGreaterThan(50);
      remaining.push(headers.get('x-ratelimit-remaining'));
    }
    expect(remaining).toEqual(['2', '1', '0']);
    const refused = await ask(sandbox, '/users/me');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(Number(refused.headers.get('x-ratelimit-reset'))).toBeLessThanOrEqual(60);
    expect((await ask(sandbox, '/users/me', { host: 1 })).status).toBe(200);
    sandbox.control.clock({ advance: '60s' });
    expect((await ask(sandbox, '/users/me')).headers.get('x-ratelimit-remaining')).toBe('2');
  });

  test('a refused request counts against the rate limit', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 10 });
    await ask(sandbox, '/scheduled_events/none');
    expect((await ask(sandbox, '/users/me')).headers.get('x-ratelimit-remaining')).toBe('8');
  });
});

test('an unknown path gets a 404, and so does an unknown method', async () => {
  const sandbox = await testSandbox({ events: 0 });
  const notFound = {
    title: 'Resource Not Found',
    message: 'The server could not find the requested resource.',
  };
  for (const path of ['/', '/v2/users/me', '/users', '/scheduled_events/x/y', '/users/none']) {
    const { status, body } = await ask(sandbox, path);
    expect(status).toBe(404);
    expect(body).toEqual(notFound);
  }
  expect((await ask(sandbox, '/users/me', { method: 'DELETE' })).status).toBe(404);
});
