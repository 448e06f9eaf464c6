import { expect, onTestFinished, test } from 'vitest';
import { createCalendlyClient } from '../../src/calendly/client.js';
import { openServer } from '../../src/database/connection.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { identify } from '../../src/sync/identity.js';
import { repairSubscription } from '../../src/webhook/repair.js';
import { listSubscriptions, subscribe, unsubscribe } from '../../src/webhook/subscriptions.js';
import { watchWebhooks } from '../../src/webhook/watch.js';
import { testDatabase } from '../support/database.js';
import { ask, testSandbox } from '../support/sandbox.js';

const URL_ONE = 'https://hooks.example.com/api/calendly/webhook';

/** A connected account of a new sandbox on a new database. */
async function connected(host = 0) {
  const { url, sql } = await testDatabase();
  const database = openServer(url);
  onTestFinished(() => database.close());
  const sandbox = await testSandbox({ events: 0 });
  const token = sandbox.hosts[host]?.token ?? '';
  const client = createCalendlyClient({ baseUrl: sandbox.url, token, retryPauseMs: 5 });
  const { account } = await identify(database, client, token, [], true);
  return { sql, database, sandbox, token, client, accountId: account?.id ?? '' };
}

/** Every subscription that the sandbox has of one scope. */
async function atCalendly(sandbox: Sandbox, scope: 'user' | 'organization' = 'user', host = 0) {
  const query = new URLSearchParams({ organization: sandbox.organization, scope });
  if (scope === 'user') query.set('user', sandbox.hosts[host]?.uri ?? '');
  return (await ask(sandbox, `/webhook_subscriptions?${query}`, { host })).body.collection;
}

const wanted = { url: URL_ONE, scope: 'user' as const, signingKey: 'key-one' };

test('subscribing makes one, remembers it without its key, and says that webhooks are on', async () => {
  const { sql, sandbox, ...rest } = await connected();
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

test('subscribing again leaves what is right alone', async () => {
  const { sandbox, ...rest } = await connected();
  const first = await subscribe(rest, wanted);
  const again = await subscribe(rest, wanted);
  expect(again).toMatchObject({ made: false, replaced: null });
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: first.subscription.uri }]);
});

test('another URL: the new one is made before the old one goes', async () => {
  const { sandbox, ...rest } = await connected();
  const { subscription: old } = await subscribe(rest, wanted);
  sandbox.resetLog();
  const { replaced } = await subscribe(rest, { ...wanted, url: 'https://other.example.com/hook' });
  expect(replaced).toBe(old.uri);
  const changes = sandbox.requests().filter(({ method }) => method !== 'GET');
  expect(changes.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
  expect(await atCalendly(sandbox)).toMatchObject([{ callback_url: 'https://other.example.com/hook' }]);
});

test('another key for the same URL: Calendly answers 409, ours goes and comes anew', async () => {
  const { sandbox, ...rest } = await connected();
  const { subscription: old } = await subscribe(rest, wanted);
  const { subscription, replaced } = await subscribe(rest, { ...wanted, signingKey: 'key-two' });
  expect(replaced).toBe(old.uri);
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: subscription.uri }]);
});

test("somebody else's subscription for the URL is named and left alone", async () => {
  const { sql, sandbox, ...rest } = await connected();
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

test('one that was made when its answer was lost is known as ours by the next try', async () => {
  const { sql, sandbox, ...rest } = await connected();
  await subscribe(rest, wanted);
  await sql`update calendly_accounts set webhook_subscription_uri = null`;
  const { made } = await subscribe(rest, wanted);
  expect(made).toBe(true);
  expect(await atCalendly(sandbox)).toHaveLength(1);
});

test('scope organization needs an owner or admin, and says so', async () => {
  const { sandbox, ...rest } = await connected(1);
  await expect(subscribe(rest, { ...wanted, scope: 'organization' })).rejects.toMatchObject({
    code: 'calendly_forbidden',
  });
  const owner = await connected(0);
  await subscribe(owner, { ...wanted, scope: 'organization' });
  expect(await atCalendly(owner.sandbox, 'organization')).toMatchObject([{ scope: 'organization' }]);
});

test('unsubscribing removes ours and says that webhooks are off', async () => {
  const { sql, sandbox, ...rest } = await connected();
  const { subscription } = await subscribe(rest, wanted);
  expect(await unsubscribe(rest)).toBe(subscription.uri);
  expect(await atCalendly(sandbox)).toEqual([]);
  expect(await sql`select calendly_webhook_enabled as on from users`).toEqual([{ on: false }]);
});

test('a disabled one is made anew with its own key, and the next sync lists everything', async () => {
  const { sql, sandbox, token, ...rest } = await connected();
  const { subscription: old } = await subscribe(rest, wanted);
  await sql`update calendly_accounts set last_full_listing_at = now()`;
  const look = { ...rest, token, signingKeys: ['key-zero', 'key-one'] };
  expect(await repairSubscription(look)).toMatchObject({ state: 'active', renewed: null });
  sandbox.control.disableSubscription({ subscription: old.uri });
  expect(await repairSubscription({ ...look, signingKeys: [] })).toMatchObject({
    problem: 'no_key',
    renewed: null,
  });
  expect(await repairSubscription({ ...look, signingKeys: ['key-two'] })).toMatchObject({
    problem: 'other_key',
  });
  const repaired = await repairSubscription(look);
  expect(repaired).toMatchObject({ uri: old.uri, state: 'disabled', problem: null });
  expect(await atCalendly(sandbox)).toMatchObject([{ uri: repaired?.renewed, state: 'active' }]);
  expect(await sql`select last_full_listing_at from calendly_accounts`).toEqual([
    { last_full_listing_at: null },
  ]);
});

test('an account without a subscription costs no request', async () => {
  const { sandbox, token, ...rest } = await connected();
  sandbox.resetLog();
  expect(await repairSubscription({ ...rest, token, signingKeys: ['key-one'] })).toBeNull();
  expect(await watchWebhooks({ ...rest, signingKeys: [] })).toEqual({ subscriptions: [], problems: [] });
  expect(sandbox.requests()).toEqual([]);
});

test('health hears of each thing that is wrong', async () => {
  const { sql, sandbox, ...rest } = await connected();
  const { subscription } = await subscribe(rest, wanted);
  const codes = async (signingKeys = ['key-one']) =>
    (await watchWebhooks({ ...rest, signingKeys })).problems.map(({ code }) => code);
  expect(await codes()).toEqual([]);
  expect(await codes(['key-two'])).toEqual(['webhook_key_differs']);
  await sql`insert into calendly_webhook_rejections (hour, reason, count) values
    (date_trunc('hour', now()), 'wrong_signature', 3), (date_trunc('hour', now()), 'too_large', 9),
    (date_trunc('hour', now()) - interval '30 hours', 'wrong_signature', 9)`;
  expect(await codes()).toEqual(['webhook_signatures_rejected']);
  const { problems } = await watchWebhooks({ ...rest, signingKeys: ['key-one'] });
  expect(problems[0]?.message).toContain('3 webhook requests refused');
  await sql`truncate calendly_webhook_rejections`;
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, error)
    values ('x', 'invitee.created', '{}', 'why not')`;
  expect(await codes()).toEqual(['webhooks_unapplied']);
  await sql`truncate calendly_webhook_events`;
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, user_id, created_at, processed_at)
    select 'y', 'invitee.created', '{}', id, now() - interval '3 days', now() from users`;
  await sql`insert into meetings (user_id, meeting_source, external_id, calendly_created_at)
    select id, 'calendly', 'polled', now() - interval '1 day' from users`;
  const offline = await watchWebhooks({ ...rest, client: null, signingKeys: ['key-one'] });
  expect(offline.problems.map(({ code }) => code)).toEqual(['webhook_silent']);
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  expect(await codes()).toEqual(['webhook_disabled']);
  await unsubscribe(rest);
  expect(await codes()).toEqual([]);
});
