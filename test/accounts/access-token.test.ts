import { describe, expect, onTestFinished, test } from 'vitest';
import { accessTokenOf } from '../../src/accounts/access-token.js';
import { openServer } from '../../src/database/connection.js';
import { oauthAccount } from '../support/oauth-account.js';

const later = { minValidMs: 300_000 };

describe('an access token', () => {
  test('is not refreshed while it is valid for five more minutes', async () => {
    const { context, accountId, sql, pair, requests } = await oauthAccount();
    await sql`update calendly_tokens set expires_at = now() + interval '6 minutes'`;
    expect(await accessTokenOf(context, accountId)).toBe(pair.access_token);
    await sql`update calendly_tokens set expires_at = now() + interval '4 minutes'`;
    expect(await accessTokenOf(context, accountId)).not.toBe(pair.access_token);
    expect(requests()).toEqual({ sent: 1, refused: 0 });
  });

  test('is refreshed once, whoever asks for it at the same moment', async () => {
    const { context, accountId, url, requests, sandbox } = await oauthAccount();
    const pools = Array.from({ length: 5 }, () => openServer(url));
    onTestFinished(async () => {
      await Promise.all(pools.map((pool) => pool.close()));
    });
    const callers = pools.flatMap((database) => Array.from({ length: 8 }, () => ({ ...context, database })));
    const tokens = await Promise.all(callers.map((caller) => accessTokenOf(caller, accountId, later)));
    expect(new Set(tokens).size).toBe(1);
    expect(requests()).toEqual({ sent: 1, refused: 0 });
    const answer = await fetch(`${sandbox.url}/users/me`, {
      headers: { authorization: `Bearer ${tokens[0]}` },
    });
    expect(answer.status).toBe(200);
  });

  test('that Calendly refuses is replaced, although it has not ended here', async () => {
    const { context, accountId, sql, pair, requests } = await oauthAccount();
    await sql`update calendly_tokens set expires_at = now() + interval '1 hour'`;
    const token = await accessTokenOf(context, accountId, { refused: pair.access_token });
    expect(token).not.toBe(pair.access_token);
    // For a second caller it is replaced already.
    expect(await accessTokenOf(context, accountId, { refused: pair.access_token })).toBe(token);
    expect(requests().sent).toBe(1);
  });
});

describe('a refresh', () => {
  test('whose connection was ended before the answer still stores the pair', async () => {
    const { context, accountId, sql, requests, sandbox } = await oauthAccount();
    let ended = 0;
    const stop = sandbox.onRequest(async ({ path }) => {
      if (path !== '/oauth/token') return;
      ({ count: ended } = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'calendly-sync' and state like 'idle in%'`);
    });
    const token = await accessTokenOf(context, accountId);
    stop();
    expect(ended).toBe(1);
    expect(await accessTokenOf(context, accountId)).toBe(token);
    expect(requests()).toEqual({ sent: 1, refused: 0 });
    expect(await sql`select generation::integer from calendly_tokens`).toEqual([{ generation: 1 }]);
  });

  test('that never reached Calendly is sent once more', async () => {
    const { context, accountId, requests, sandbox } = await oauthAccount();
    sandbox.control.fail({ kind: 'reset', match: '/oauth/token' });
    await expect(accessTokenOf(context, accountId)).resolves.toBeTypeOf('string');
    expect(requests().sent).toBe(2);
  });

  test('whose answer was lost ends with an account that must be connected again', async () => {
    const { context, accountId, sql, requests, sandbox } = await oauthAccount();
    sandbox.control.fail({ kind: 'reset-body', match: '/oauth/token' });
    await expect(accessTokenOf(context, accountId)).rejects.toMatchObject({ code: 'needs_reconnect' });
    expect(requests().sent).toBe(2);
    expect(await sql`select state from calendly_accounts`).toEqual([{ state: 'needs_reconnect' }]);
  });

  test('with a refresh token that no longer works parks the account, and nothing is asked again', async () => {
    const { context, accountId, sql, requests, sandbox } = await oauthAccount();
    sandbox.control.revoke({ host: 0 });
    const error = { code: 'needs_reconnect' };
    await expect(accessTokenOf(context, accountId)).rejects.toMatchObject(error);
    await expect(accessTokenOf(context, accountId)).rejects.toMatchObject(error);
    expect(requests()).toEqual({ sent: 1, refused: 1 });
    expect(
      await sql`
      select state, state_reason, due_at = 'infinity' as parked
      from calendly_accounts a join calendly_leases l on l.account_id = a.id`,
    ).toEqual([{ state: 'needs_reconnect', state_reason: 'invalid_grant', parked: true }]);
  });

  test('that another process has made in the meantime is used, although the request was refused', async () => {
    const { context, accountId, sql, sandbox } = await oauthAccount();
    sandbox.control.revoke({ host: 0 });
    const stop = sandbox.onRequest(async ({ path }) => {
      if (path !== '/oauth/token') return;
      // The pair of a process that had lost its connection arrives while the refused one waits.
      setTimeout(
        () =>
          void sql`
        update calendly_tokens set expires_at = now() + interval '1 hour', generation = generation + 1`.execute(),
        50,
      );
    });
    await expect(accessTokenOf(context, accountId)).resolves.toMatch(/^sandbox-token/);
    stop();
    expect(await sql`select state from calendly_accounts`).toEqual([{ state: 'active' }]);
  });

  test('that Calendly cannot make at the moment leaves the token in use that is still valid', async () => {
    const { context, accountId, sql, pair, requests, sandbox } = await oauthAccount();
    await sql`update calendly_tokens set expires_at = now() + interval '2 minutes'`;
    sandbox.control.fail({ kind: 'status', status: 429, match: '/oauth/token' });
    expect(await accessTokenOf(context, accountId)).toBe(pair.access_token);
    expect(requests().sent).toBe(1);
    expect(await accessTokenOf(context, accountId)).not.toBe(pair.access_token);
  });

  test('ends with an error that blames Calendly while its OAuth server is in trouble, and parks nothing', async () => {
    const { context, accountId, sql, requests, sandbox } = await oauthAccount();
    sandbox.control.fail({ kind: 'status', status: 503, match: '/oauth/token' });
    await expect(accessTokenOf(context, accountId)).rejects.toMatchObject({ code: 'calendly_unreachable' });
    expect(requests().sent).toBe(1);
    expect(await sql`select state from calendly_accounts`).toEqual([{ state: 'active' }]);
    await expect(accessTokenOf(context, accountId)).resolves.toBeTypeOf('string');
  });
});
