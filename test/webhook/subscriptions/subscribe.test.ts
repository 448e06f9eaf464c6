import { expect, test } from 'vitest';
import type { Sandbox } from '../../../src/sandbox/sandbox.js';
import { inspectWebhooks } from '../../../src/webhook/subscriptions/inspect.js';
import { repairSubscription } from '../../../src/webhook/subscriptions/repair.js';
import { listSubscriptions, subscribe, unsubscribe } from '../../../src/webhook/subscriptions/subscribe.js';
import { connectedAccount } from '../../support/connected-account.js';
import { ask } from '../../support/sandbox.js';

const URL_ONE = 'https://hooks.example.com/api/calendly/webhook';

/** Every subscription of one scope at the sandbox. */
async function atCalendly(sandbox: Sandbox, scope: 'user' | 'organization' = 'user', host = 0) {
  const query = new URLSearchParams({ organization: sandbox.organization, scope });
  if (scope === 'user') query.set('user', sandbox.hosts[host]?.uri ?? '');
  return (await ask(sandbox, `/webhook_subscriptions?${query}`, { host })).body.collection;
}

const wanted = { url: URL_ONE, scope: 'user' as const, signingKey: 'key-one' };

test('subscribing creates a subscription, stores it without its key, and marks webhooks as enabled', async () => {
  const { sql, sandbox, ...rest } = await connectedAccount();
  const { subscription, made, replaced } = await subscribe(rest, wanted);
  expect({ made, replaced }).toEqual({ made: true, replaced: null });
  expect(await atCalendly(sandbox)).toMatchObject([
    { uri: subscription.uri, state: 'active', callback_url: URL_ONE },
  ]);
  const [account] = await sql`select * from calendly_accounts`;
  expect(account).toMatchObject({ webhook_subscription_uri: subscription.uri, webhook_scope: 'user' });
  expect(JSON.stringify(account)).not.toContain('key-one');
  expect(await sql`select calendly_webhook_enabled as on from users`).toEqual([{ on: true }]);
});

test('subscribing again with the same URL and key changes nothing', async () => {
  const { sandbox, ...rest } = await connectedAccount();
  const first = await subscribe(rest, wanted);
  const again = await subscribe(rest, wanted);
  expect(again).toMatchObject({ made: false, replaced: null });
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: first.subscription.uri }]);
});

test('subscribing another URL creates the new subscription before it removes the old one', async () => {
  const { sandbox, ...rest } = await connectedAccount();
  const { subscription: old } = await subscribe(rest, wanted);
  sandbox.resetLog();
  const { replaced } = await subscribe(rest, { ...wanted, url: 'https://other.example.com/hook' });
  expect(replaced).toBe(old.uri);
  const changes = sandbox.requests().filter(({ method }) => method !== 'GET');
  expect(changes.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
  expect(await atCalendly(sandbox)).toMatchObject([{ callback_url: 'https://other.example.com/hook' }]);
});

test('subscribing the same URL with another key recreates our subscription after a 409 from Calendly', async () => {
  const { sandbox, ...rest } = await connectedAccount();
  const { subscription: old } = await subscribe(rest, wanted);
  const { subscription, replaced } = await subscribe(rest, { ...wanted, signingKey: 'key-two' });
  expect(replaced).toBe(old.uri);
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: subscription.uri }]);
});

test("subscribing a URL of somebody else's subscription is rejected, and leaves that one alone", async () => {
  const { sql, sandbox, ...rest } = await connectedAccount();
  const theirs = await ask(sandbox, '/webhook_subscriptions', {
    method: 'POST',
    body: JSON.stringify({
      url: URL_ONE,
      events: ['invitee.created'],
      organization: sandbox.organization,
      scope: 'user',
      user: sandbox.hosts[0]?.uri,
    }),
    headers: { 'content-type': 'application/json' },
  });
  expect(theirs.status).toBe(201);
  for (let time = 0; time < 2; time++) {
    await expect(subscribe(rest, wanted)).rejects.toMatchObject({ code: 'calendly_rejected' });
    expect(await atCalendly(sandbox)).toMatchObject([{ uri: theirs.body.resource.uri }]);
  }
  expect(await sql`select calendly_webhook_enabled as on from users`).toEqual([{ on: false }]);
  expect(await listSubscriptions(rest)).toMatchObject([{ uri: theirs.body.resource.uri, ours: false }]);
  expect(await unsubscribe(rest)).toBeNull();
  expect(await atCalendly(sandbox)).toHaveLength(1);
});

test('a subscription whose creation lost its response is recognized as ours by the next attempt', async () => {
  const { sql, sandbox, ...rest } = await connectedAccount();
  await subscribe(rest, wanted);
  await sql`update calendly_accounts set webhook_subscription_uri = null`;
  const { made } = await subscribe(rest, wanted);
  expect(made).toBe(true);
  expect(await atCalendly(sandbox)).toHaveLength(1);
});

test('a subscription of scope organization is refused to a plain member and granted to an owner', async () => {
  const { sandbox, ...rest } = await connectedAccount(1);
  await expect(subscribe(rest, { ...wanted, scope: 'organization' })).rejects.toMatchObject({
    code: 'calendly_forbidden',
  });
  const owner = await connectedAccount(0);
  await subscribe(owner, { ...wanted, scope: 'organization' });
  expect(await atCalendly(owner.sandbox, 'organization')).toMatchObject([{ scope: 'organization' }]);
});

test('unsubscribing removes our subscription and marks webhooks as disabled', async () => {
  const { sql, sandbox, ...rest } = await connectedAccount();
  const { subscription } = await subscribe(rest, wanted);
  expect(await unsubscribe(rest)).toBe(subscription.uri);
  expect(await atCalendly(sandbox)).toEqual([]);
  expect(await sql`select calendly_webhook_enabled as on from users`).toEqual([{ on: false }]);
});

test('a disabled subscription is recreated with its own key, and the next sync lists the full window', async () => {
  const { sql, sandbox, token, ...rest } = await connectedAccount();
  const { subscription: old } = await subscribe(rest, wanted);
  await sql`update calendly_accounts set last_full_listing_at = now()`;
  const options = { ...rest, token, signingKeys: ['key-zero', 'key-one'] };
  expect(await repairSubscription(options)).toMatchObject({ state: 'active', renewed: null });
  sandbox.control.disableSubscription({ subscription: old.uri });
  expect(await repairSubscription({ ...options, signingKeys: [] })).toMatchObject({
    problem: 'no_key',
    renewed: null,
  });
  expect(await repairSubscription({ ...options, signingKeys: ['key-two'] })).toMatchObject({
    problem: 'other_key',
  });
  const repaired = await repairSubscription(options);
  expect(repaired).toMatchObject({ uri: old.uri, state: 'disabled', problem: null });
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: repaired?.renewed, state: 'active' }]);
  expect(await sql`select last_full_listing_at from calendly_accounts`).toEqual([
    { last_full_listing_at: null },
  ]);
});

test('an account without a subscription causes no request', async () => {
  const { sandbox, token, ...rest } = await connectedAccount();
  sandbox.resetLog();
  expect(await repairSubscription({ ...rest, token, signingKeys: ['key-one'] })).toBeNull();
  expect(await inspectWebhooks({ ...rest, token, signingKeys: [] })).toMatchObject({ listed: [], own: [] });
  expect(sandbox.requests()).toEqual([]);
});
