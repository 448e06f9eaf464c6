import { describe, expect, onTestFinished, test } from 'vitest';
import { connectAccount, disconnectAccount, getAccessToken } from '../../src/accounts/connect.js';
import { rekey } from '../../src/accounts/rekey.js';
import { openServer } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';
import { KEY_A, KEY_B, oauthConfig } from '../support/oauth-account.js';
import { testSandbox } from '../support/sandbox.js';

async function setUp(hosts = 2) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, hosts });
  const database = openServer(url);
  onTestFinished(() => database.close());
  const options = { database, config: oauthConfig(sandbox.url, sandbox.client) };
  const works = async (token: string) => {
    const answer = await fetch(`${sandbox.url}/users/me`, { headers: { authorization: `Bearer ${token}` } });
    return answer.status === 200;
  };
  return { url, sql, sandbox, database, options, works };
}

describe('connecting', () => {
  test('links the Calendly user, stores the token encrypted, and makes the account due', async () => {
    const { sql, sandbox, options } = await setUp();
    const [ada] = sandbox.hosts;
    const connected = await connectAccount({ ...options, tokens: { personalToken: ada?.token ?? '' } });
    expect(connected).toMatchObject({ calendlyUri: ada?.uri, email: ada?.email, userId: 1 });
    expect(await getAccessToken({ ...options, userId: ada?.email ?? '' })).toBe(ada?.token);
    expect(
      await sql`
      select kind, position(${ada?.token ?? ''} in encode(access, 'escape')) as found, due_at <= now() as due
      from calendly_tokens join calendly_leases using (account_id)`,
    ).toEqual([{ kind: 'personal', found: 0, due: true }]);
  });

  test('an OAuth pair uses up the refresh token at once, so that a kept copy fails', async () => {
    const { sandbox, options, works } = await setUp();
    const { pair } = sandbox.control.grant({ host: 1 });
    const tokens = { accessToken: pair.access_token, refreshToken: pair.refresh_token };
    const { userId } = await connectAccount({ ...options, tokens });
    expect(await works(await getAccessToken({ ...options, userId }))).toBe(true);
    await expect(
      connectAccount({ ...options, tokens: { refreshToken: pair.refresh_token } }),
    ).rejects.toMatchObject({
      code: 'needs_reconnect',
    });
    // The connection that was made first goes on working.
    expect(await works(await getAccessToken({ ...options, userId, minValidMs: Infinity }))).toBe(true);
  });

  test('a parked account is active again', async () => {
    const { sql, sandbox, options } = await setUp();
    const personalToken = sandbox.hosts[0]?.token ?? '';
    await connectAccount({ ...options, tokens: { personalToken } });
    await sql`update calendly_accounts set state = 'needs_reconnect'`;
    await sql`update calendly_leases set due_at = 'infinity', failures = 3`;
    await expect(getAccessToken({ ...options, userId: 1 })).rejects.toMatchObject({
      code: 'needs_reconnect',
    });
    await connectAccount({ ...options, tokens: { personalToken } });
    expect(await getAccessToken({ ...options, userId: 1 })).toBe(personalToken);
    expect(await sql`select failures, due_at <= now() as due from calendly_leases`).toEqual([
      { failures: 0, due: true },
    ]);
  });

  test('without a key it fails before the refresh token is used, and says how to create one', async () => {
    const { sandbox, options } = await setUp();
    const { pair } = sandbox.control.grant();
    const config = { ...options.config, syncKeys: [] };
    const tokens = { refreshToken: pair.refresh_token };
    await expect(connectAccount({ ...options, config, tokens })).rejects.toMatchObject({
      code: 'settings',
      hint: expect.stringContaining('randomBytes(32)'),
    });
    await expect(connectAccount({ ...options, userId: 'nobody@x.com', tokens })).rejects.toMatchObject({
      code: 'user_unknown',
    });
    await expect(connectAccount({ ...options, tokens })).resolves.toBeDefined();
  });

  test('a token of a Calendly user who is linked to somebody else is refused', async () => {
    const { sql, sandbox, options } = await setUp();
    const personalToken = sandbox.hosts[0]?.token ?? '';
    await connectAccount({ ...options, tokens: { personalToken } });
    await sql`insert into users (email) values ('bob@example.com')`;
    await expect(
      connectAccount({ ...options, userId: 'bob@example.com', tokens: { personalToken } }),
    ).rejects.toMatchObject({ code: 'user_unknown' });
  });
});

describe('disconnecting', () => {
  test('revokes the pair, removes our webhook subscription and the tokens, and keeps the meetings', async () => {
    const { sql, sandbox, options, works } = await setUp();
    const { pair } = sandbox.control.grant();
    const { userId } = await connectAccount({ ...options, tokens: { refreshToken: pair.refresh_token } });
    const token = await getAccessToken({ ...options, userId });
    const { body } = await subscribeAt(sandbox, token);
    await sql`update calendly_accounts set webhook_subscription_uri = ${body.resource.uri}, webhook_scope = 'user'`;
    await sql`insert into meetings (user_id, external_id) values (1, 'X')`;
    const done = await disconnectAccount({ ...options, userId });
    expect(done).toMatchObject({ revoked: true, subscription: body.resource.uri, problems: [] });
    await expect(getAccessToken({ ...options, userId })).rejects.toMatchObject({ code: 'needs_reconnect' });
    expect(
      await sql`
      select state, webhook_subscription_uri as uri, (select count(*)::integer from calendly_tokens) as tokens,
        (select count(*)::integer from meetings) as meetings, due_at = 'infinity' as parked
      from calendly_accounts a join calendly_leases l on l.account_id = a.id`,
    ).toEqual([{ state: 'disconnected', uri: null, tokens: 0, meetings: 1, parked: true }]);
    expect(await works(sandbox.hosts[0]?.token ?? '')).toBe(true);
  });

  test('deletes the tokens although Calendly no longer accepts them, and says what is left', async () => {
    const { sql, sandbox, options } = await setUp();
    const { pair } = sandbox.control.grant();
    const { userId } = await connectAccount({ ...options, tokens: { refreshToken: pair.refresh_token } });
    await sql`update calendly_accounts set webhook_subscription_uri = ${`${sandbox.url}/webhook_subscriptions/X`}`;
    sandbox.control.revoke({ host: 0 });
    const { problems, subscription } = await disconnectAccount({ ...options, userId });
    expect([problems.length, subscription]).toEqual([1, null]);
    expect(await sql`select from calendly_tokens`).toHaveLength(0);
  });
});

describe('rekey', () => {
  test('seals all tokens with the first key, can be interrupted, and both keys work throughout', async () => {
    const { sql, sandbox, options } = await setUp(3);
    for (const [host] of sandbox.hosts.entries()) {
      const { pair } = sandbox.control.grant({ host });
      await connectAccount({ ...options, tokens: { refreshToken: pair.refresh_token } });
    }
    const both = { ...options, config: { ...options.config, syncKeys: [KEY_B, KEY_A] } };
    const onlyNew = { ...options, config: { ...options.config, syncKeys: [KEY_B] } };
    await expect(getAccessToken({ ...onlyNew, userId: 1 })).rejects.toMatchObject({ code: 'settings' });
    const before = await sql`select access from calendly_tokens where account_id = 3`;
    await sql`update calendly_tokens set refresh = null where account_id = 2`;
    expect(await rekey(both)).toEqual({ rekeyed: 3 });
    expect(await rekey(both)).toEqual({ rekeyed: 0 });
    expect(await getAccessToken({ ...onlyNew, userId: 1 })).toMatch(/^sandbox-token/);
    // As if it had been interrupted: one account still has the older key.
    await sql`update calendly_tokens set access = ${before[0]?.access} where account_id = 3`;
    expect(await getAccessToken({ ...both, userId: 3 })).toMatch(/^sandbox-token/);
    expect(await rekey(both)).toEqual({ rekeyed: 1 });
    expect(await getAccessToken({ ...onlyNew, userId: 3 })).toMatch(/^sandbox-token/);
  });

  test('a token that none of the keys opens stops it with the id of its key', async () => {
    const { sandbox, options } = await setUp();
    await connectAccount({ ...options, tokens: { personalToken: sandbox.hosts[0]?.token ?? '' } });
    const config = { ...options.config, syncKeys: [KEY_B] };
    await expect(rekey({ ...options, config })).rejects.toMatchObject({ code: 'settings' });
  });
});

async function subscribeAt(sandbox: Awaited<ReturnType<typeof testSandbox>>, token: string) {
  const [host] = sandbox.hosts;
  const answer = await fetch(`${sandbox.url}/webhook_subscriptions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      url: 'https://hooks.example.com/',
      events: ['invitee.created'],
      organization: sandbox.organization,
      user: host?.uri,
      scope: 'user',
    }),
  });
  return { body: (await answer.json()) as { resource: { uri: string } } };
}
