/** Each thing that can be wrong with webhooks: what is said of it, and what to type. */
import { expect, onTestFinished, test } from 'vitest';
import { checkWebhooks } from '../../src/health/checks/webhooks.js';
import { createWebhookHandler } from '../../src/webhook/receiver/handler.js';
import { startWebhookServer } from '../../src/webhook/receiver/server.js';
import { subscribe, unsubscribe } from '../../src/webhook/subscriptions/subscribe.js';
import { connectedAccount } from '../support/connected-account.js';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { ask, testSandbox } from '../support/sandbox.js';
import { booking, KEY, receiving, signedRequest } from '../support/webhooks.js';

const RECEIVER = 'https://hooks.example.com/api/calendly/webhook';

/** An account with a subscription for a receiver, and a look at what is wrong with it. */
async function subscribed(url = RECEIVER, account?: Awaited<ReturnType<typeof connectedAccount>>) {
  const connected = account ?? (await connectedAccount());
  const { subscription } = await subscribe(connected, { url, scope: 'user', signingKey: KEY });
  const watch = (over: { offline?: boolean; keys?: string[] } = {}) =>
    checkWebhooks({
      ...connected,
      ...(over.offline ? { client: null } : {}),
      signingKeys: over.keys ?? [KEY],
    });
  const problems = async (over: { offline?: boolean; keys?: string[] } = {}) => (await watch(over)).problems;
  return { ...connected, subscription, watch, problems };
}

test('nothing, where all is well: the subscriptions are shown', async () => {
  const { watch, subscription } = await subscribed();
  expect(await watch()).toMatchObject({
    subscriptions: [{ uri: subscription.uri, ours: true }],
    problems: [],
  });
  expect(await watch({ offline: true })).toEqual({ subscriptions: [], problems: [] });
});

test('deliveries that could not be applied, and not those of hosts whom nobody here knows', async () => {
  const { url, problems } = await subscribed();
  const { post } = receiving(url);
  expect((await post(booking('THEIRS'))).status).toBe(200);
  expect(await problems()).toEqual([]);
  for (const payload of [{}, { uri: 'somebody' }])
    expect((await post({ event: 'invitee.created', payload })).status).toBe(200);
  expect(await problems()).toEqual([
    {
      code: 'webhooks_unapplied',
      message: '2 webhook events could not be applied: the delivery names no meeting',
      hint: 'calendly-sync webhook replay',
    },
  ]);
});

test('signatures that were refused in the last day, and no other refusals', async () => {
  const { url, sql, problems } = await subscribed();
  const { handler, post } = receiving(url);
  const { headers } = signedRequest('{', {});
  expect((await handler(signedRequest('{'))).status).toBe(400);
  await handler.close();
  expect(await sql`select reason from calendly_webhook_rejections`).toEqual([{ reason: 'no_json' }]);
  expect(await problems()).toEqual([]);
  for (let time = 0; time < 3; time++) expect((await post(booking('R'), 'other')).status).toBe(401);
  headers.delete('calendly-webhook-signature');
  expect((await handler(new Request(RECEIVER, { method: 'POST', body: '{}', headers }))).status).toBe(401);
  await handler.close();
  expect(await problems()).toEqual([
    {
      code: 'webhook_signatures_rejected',
      message:
        '4 webhook requests refused for the signature in the last day (1 no signature, 3 wrong signature)',
      hint: "Set CALENDLY_WEBHOOK_SIGNING_KEY to the subscription's key and restart the receiver, or make a new one: calendly-sync webhook subscribe --url U",
    },
  ]);
  await sql`update calendly_webhook_rejections set hour = hour - interval '25 hours'`;
  expect(await problems()).toEqual([]);
});

test('a key that is not the one of the subscription, or none', async () => {
  const { problems } = await subscribed(`${RECEIVER}?from=calendly-sync`);
  const [other] = await problems({ keys: ['key-one', 'key-two'] });
  const hint = `Set the key that was shown then, or make a new subscription: calendly-sync webhook subscribe --url '${RECEIVER}?from=calendly-sync'`;
  expect(other).toMatchObject({ code: 'webhook_key_differs', hint });
  expect(other?.message).toMatch(
    /^CALENDLY_WEBHOOK_SIGNING_KEY is another key than the one that the webhook subscription of \S+@\S+ was made with$/,
  );
  const [none] = await problems({ keys: [] });
  expect(none).toMatchObject({ code: 'webhook_key_differs', hint });
  expect(none?.message).toMatch(
    /^CALENDLY_WEBHOOK_SIGNING_KEY is not set here, and the webhook subscription of \S+@\S+ was made with a key$/,
  );
  expect(await problems({ keys: ['key-two', KEY] })).toEqual([]);
});

test('a subscription that Calendly has disabled, or has no more; not one that we gave back', async () => {
  const { sandbox, subscription, problems, ...rest } = await subscribed();
  const hint = 'calendly-sync sync (makes it anew and sweeps what was missed)';
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  expect(await problems()).toEqual([
    {
      code: 'webhook_disabled',
      message: `Calendly has disabled the webhook subscription for ${RECEIVER}: deliveries failed for a day`,
      hint,
    },
  ]);
  expect(await problems({ offline: true })).toEqual([]);
  const { pathname } = new URL(subscription.uri);
  expect((await ask(sandbox, pathname, { method: 'DELETE' })).status).toBe(204);
  expect(await problems()).toEqual([
    {
      code: 'webhook_disabled',
      message: `Calendly does not have the webhook subscription for ${RECEIVER} any more`,
      hint,
    },
  ]);
  await unsubscribe(rest);
  expect(await problems()).toEqual([]);
});

test('deliveries that fail, until they arrive', async () => {
  const port = await freePort();
  const receiver = `http://127.0.0.1:${port}/api/calendly/webhook`;
  const { sandbox, sql, database, problems } = await subscribed(`${receiver}?from=calendly-sync`);
  sandbox.control.setWebhooks({ retry_scale: 0.02 });
  const { event } = sandbox.control.book();
  const delivery = () => sandbox.control.deliveries()[0];
  await expect.poll(() => delivery()?.attempts.length ?? 0).toBeGreaterThan(0);
  expect(await problems()).toEqual([
    {
      code: 'webhook_retrying',
      message: expect.stringMatching(
        /^deliveries to http:\S+ fail since \d{4}-\d\d-\d\dT[\d:.]+Z; after a day Calendly disables the subscription$/,
      ),
      hint: `curl -i ${receiver}/test`,
    },
  ]);
  expect(await problems({ offline: true })).toEqual([]);
  const handler = createWebhookHandler({ database, signingKeys: [KEY] });
  const server = await startWebhookServer(handler, { host: '127.0.0.1', port });
  onTestFinished(() => server.close());
  await expect.poll(() => delivery()?.state).toBe('delivered');
  expect(await problems()).toEqual([]);
  expect(
    await sql`select synced_via_webhook as brought from meetings where calendly_uri = ${event.uri}`,
  ).toEqual([{ brought: true }]);
  // What the hint says to type finds the receiver's own page.
  expect((await fetch(`${receiver}/test`)).status).toBe(200);
});

test('silence: bookings that only the poll brought, since the last delivery or since ever', async () => {
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  const sandbox = await testSandbox({ events: 0, now: twoDaysAgo });
  const { sql, problems } = await subscribed(
    RECEIVER,
    await connectedAccount(0, { ...(await testDatabase()), sandbox }),
  );
  const poll = (ago: string) => sql`
    insert into meetings (user_id, meeting_source, external_id, calendly_created_at)
    select id, 'calendly', ${`polled ${ago}`}, now() - ${ago}::interval from users`;
  const hint = `curl -i ${RECEIVER}/test`;
  // Made before the subscription; made just now, so that its delivery may be on the way.
  await poll('3 days');
  await poll('5 minutes');
  expect(await problems()).toEqual([]);
  await poll('1 day');
  const never = 'no webhook delivery ever came, although 1 booking came by poll';
  expect(await problems()).toEqual([{ code: 'webhook_silent', message: never, hint }]);
  const [event] = await sql`
    insert into calendly_webhook_events (event_id, event_type, payload, user_id, created_at, processed_at)
    select 'y', 'invitee.created', '{}', id, now() - interval '4 days', now() from users returning created_at`;
  const since = `no webhook delivery came since ${event?.created_at.toISOString()}, although 2 bookings came by poll`;
  expect(await problems({ offline: true })).toEqual([{ code: 'webhook_silent', message: since, hint }]);
  await sql`update calendly_webhook_events set created_at = now() - interval '1 hour'`;
  expect(await problems({ offline: true })).toEqual([]);
});

test('a Calendly that cannot be asked: why, and what mends that', async () => {
  const { sandbox, watch, problems } = await subscribed();
  sandbox.control.fail({ kind: 'status', status: 503, count: null, match: 'webhook_subscriptions' });
  const [trouble] = await problems();
  expect(trouble).toMatchObject({
    code: 'webhook_state_unknown',
    hint: expect.stringContaining('https://www.calendlystatus.com'),
  });
  expect(trouble?.message).toMatch(
    /^Calendly could not be asked about the webhook subscription: Calendly is in trouble: .*503/,
  );
  expect(await problems({ offline: true })).toEqual([]);
  sandbox.control.clearFaults();
  sandbox.control.revoke({ host: 0 });
  expect(await watch()).toMatchObject({
    subscriptions: [],
    problems: [
      {
        code: 'webhook_state_unknown',
        message: expect.stringContaining('Calendly does not accept the token (401'),
        hint: expect.stringContaining('set CALENDLY_TOKEN'),
      },
    ],
  });
});

test('of several accounts, each subscription that the token may see, whoever was connected first', async () => {
  const owner = await subscribed();
  const member = await subscribed('https://other.example.com/hook', await connectedAccount(1, owner));
  expect(await owner.problems()).toEqual([]);
  expect(await member.problems()).toEqual([]);
  owner.sandbox.control.disableSubscription({ subscription: member.subscription.uri });
  const disabled = [
    { code: 'webhook_disabled', message: expect.stringContaining('https://other.example.com/hook') },
  ];
  expect(await owner.problems()).toMatchObject(disabled);
  expect(await member.problems()).toMatchObject(disabled);
  await unsubscribe(member);
  owner.sandbox.control.disableSubscription({ subscription: owner.subscription.uri });
  expect(await owner.problems()).toMatchObject([{ code: 'webhook_disabled' }]);
  // A plain member may not know.
  expect(await member.problems()).toEqual([]);
});
