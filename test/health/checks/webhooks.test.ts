/** Each problem of webhooks: its message, and the command that fixes it. */
import { expect, onTestFinished, test } from 'vitest';
import { webhookProblems } from '../../../src/health/checks/webhooks.js';
import { createWebhookHandler } from '../../../src/webhook/receiver/handler.js';
import { startWebhookServer } from '../../../src/webhook/receiver/server.js';
import { inspectWebhooks } from '../../../src/webhook/subscriptions/inspect.js';
import { subscribe, unsubscribe } from '../../../src/webhook/subscriptions/subscribe.js';
import { connectedAccount } from '../../support/connected-account.js';
import { testDatabase } from '../../support/database.js';
import { freePort } from '../../support/free-port.js';
import { ask, testSandbox } from '../../support/sandbox.js';
import { booking, KEY, receiving, signedRequest } from '../../support/webhooks.js';

const RECEIVER = 'https://hooks.example.com/api/calendly/webhook';

/** An account with a subscription for a receiver, and its problems. */
async function subscribed(url = RECEIVER, account?: Awaited<ReturnType<typeof connectedAccount>>) {
  const connected = account ?? (await connectedAccount());
  const { subscription } = await subscribe(connected, { url, scope: 'user', signingKey: KEY });
  const inspect = async ({ offline = false, signingKeys = [KEY] } = {}) => {
    const state = await inspectWebhooks({ ...connected, ...(offline ? { client: null } : {}), signingKeys });
    return { listed: state.listed, problems: webhookProblems(state) };
  };
  const problems = async (over: { offline?: boolean; signingKeys?: string[] } = {}) =>
    (await inspect(over)).problems;
  return { ...connected, subscription, inspect, problems };
}

test('a working subscription is listed and has no problem', async () => {
  const { inspect, subscription } = await subscribed();
  expect(await inspect()).toMatchObject({ listed: [{ uri: subscription.uri, ours: true }], problems: [] });
  expect(await inspect({ offline: true })).toEqual({ listed: [], problems: [] });
});

test('failed deliveries are a problem, those that wait for an unknown host are not', async () => {
  const { url, problems } = await subscribed();
  const { post } = receiving(url);
  expect((await post(booking('THEIRS'))).status).toBe(200);
  expect(await problems()).toEqual([]);
  for (const payload of [{}, { uri: 'somebody' }])
    expect((await post({ event: 'invitee.created', payload })).status).toBe(200);
  expect(await problems()).toEqual([
    {
      code: 'webhooks_failed',
      message: '2 webhook events could not be applied: the delivery names no meeting',
      hint: 'calendly-sync webhook replay',
    },
  ]);
});

test('signatures that were rejected since the last accepted delivery are a problem, other rejections are not', async () => {
  const { url, sql, problems } = await subscribed();
  const { handler, post } = receiving(url);
  const { headers } = signedRequest('{', {});
  expect((await handler(signedRequest('{'))).status).toBe(400);
  await handler.close();
  expect(await sql`select reason from calendly_webhook_rejections`).toEqual([{ reason: 'invalid_json' }]);
  headers.delete('calendly-webhook-signature');
  expect((await handler(new Request(RECEIVER, { method: 'POST', body: '{}', headers }))).status).toBe(401);
  await handler.close();
  expect(await problems()).toEqual([]);
  for (let time = 0; time < 3; time++) expect((await post(booking('R'), 'other')).status).toBe(401);
  await handler.close();
  expect(await problems()).toEqual([
    {
      code: 'webhook_signatures_rejected',
      message: '3 webhook requests rejected for the signature in the last 24 hours (3 wrong signature)',
      hint: "Set CALENDLY_WEBHOOK_SIGNING_KEY to the subscription's key and restart the receiver, or create a new subscription: calendly-sync webhook subscribe --url U",
    },
  ]);
  await sql`
    insert into calendly_webhook_events (event_id, event_type, payload, user_id)
    select 'accepted', 'invitee.created', '{}', user_id from calendly_accounts`;
  await sql`update calendly_webhook_events set processed_at = now()`;
  expect(await problems()).toEqual([]);
  await sql`delete from calendly_webhook_events`;
  expect(await problems()).toHaveLength(1);
  await sql`update calendly_webhook_rejections set hour = hour - interval '25 hours'`;
  expect(await problems()).toEqual([]);
});

test('without a subscription, rejected signatures are not a problem', async () => {
  const { url, problems, ...account } = await subscribed();
  await unsubscribe(account);
  const { handler, post } = receiving(url);
  expect((await post(booking('R'), 'other')).status).toBe(401);
  await handler.close();
  expect(await problems()).toEqual([]);
});

test('a missing signing key, or one that is not the key of the subscription, is a problem', async () => {
  const { problems } = await subscribed(`${RECEIVER}?from=calendly-sync`);
  const [other] = await problems({ signingKeys: ['key-one', 'key-two'] });
  const hint = `Set the key that was shown then, or create a new subscription: calendly-sync webhook subscribe --url '${RECEIVER}?from=calendly-sync'`;
  expect(other).toMatchObject({ code: 'webhook_key_differs', hint });
  expect(other?.message).toMatch(
    /^CALENDLY_WEBHOOK_SIGNING_KEY is not the key that the webhook subscription of \S+@\S+ was created with$/,
  );
  const [none] = await problems({ signingKeys: [] });
  expect(none).toMatchObject({ code: 'webhook_key_differs', hint });
  expect(none?.message).toMatch(
    /^CALENDLY_WEBHOOK_SIGNING_KEY is not set, but the webhook subscription of \S+@\S+ was created with a key$/,
  );
  expect(await problems({ signingKeys: ['key-two', KEY] })).toEqual([]);
});

test('a subscription that Calendly has disabled or lost is a problem, one that we removed is not', async () => {
  const { sandbox, subscription, problems, ...rest } = await subscribed();
  const hint = 'calendly-sync sync (recreates it and catches up on missed bookings)';
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  expect(await problems()).toEqual([
    {
      code: 'webhook_disabled',
      message: `Calendly has disabled the webhook subscription for ${RECEIVER}: deliveries failed for 24 hours`,
      hint,
    },
  ]);
  expect(await problems({ offline: true })).toEqual([]);
  const { pathname } = new URL(subscription.uri);
  expect((await ask(sandbox, pathname, { method: 'DELETE' })).status).toBe(204);
  expect(await problems()).toEqual([
    {
      code: 'webhook_disabled',
      message: `Calendly no longer has the webhook subscription for ${RECEIVER}`,
      hint,
    },
  ]);
  await unsubscribe(rest);
  expect(await problems()).toEqual([]);
});

test('deliveries that fail are a problem until they arrive', async () => {
  const port = await freePort();
  const receiver = `http://127.0.0.1:${port}/api/calendly/webhook`;
  const { sandbox, sql, database, problems } = await subscribed(`${receiver}?from=calendly-sync`);
  sandbox.control.set({ retry_scale: 0.02 });
  const { event } = sandbox.control.book();
  const delivery = () => sandbox.control.deliveries()[0];
  await expect.poll(() => delivery()?.attempts.length ?? 0).toBeGreaterThan(0);
  expect(await problems()).toEqual([
    {
      code: 'webhook_retrying',
      message: expect.stringMatching(
        /^deliveries to http:\S+ have failed since \d{4}-\d\d-\d\dT[\d:.]+Z; Calendly disables the subscription after 24 hours$/,
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
  // The command in the hint reaches the test page of the receiver.
  expect((await fetch(`${receiver}/test`)).status).toBe(200);
});

test('bookings that only a poll brought since the last delivery, or without any delivery, are a problem', async () => {
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  const sandbox = await testSandbox({ events: 0, now: twoDaysAgo });
  const { sql, problems } = await subscribed(
    RECEIVER,
    await connectedAccount(0, { ...(await testDatabase()), sandbox }),
  );
  const poll = (ago: string) => sql`
    with polled as (
      insert into meetings (user_id, meeting_source, external_id, calendly_created_at)
      select id, 'calendly', ${`polled ${ago}`}, now() - ${ago}::interval from users
      returning id, user_id, external_id
    )
    insert into calendly_events (meeting_id, user_id, external_id) select * from polled`;
  const hint = `curl -i ${RECEIVER}/test`;
  // One older than the subscription, and one so new that its delivery may still arrive.
  await poll('3 days');
  await poll('5 minutes');
  expect(await problems()).toEqual([]);
  await poll('1 day');
  const never = 'no webhook delivery has ever arrived, but a sync found 1 booking';
  expect(await problems()).toEqual([{ code: 'webhook_silent', message: never, hint }]);
  const [event] = await sql`
    insert into calendly_webhook_events (event_id, event_type, payload, user_id, created_at, processed_at)
    select 'y', 'invitee.created', '{}', id, now() - interval '4 days', now() from users returning created_at`;
  const since = `no webhook delivery has arrived since ${event?.created_at.toISOString()}, but a sync found 2 bookings`;
  expect(await problems({ offline: true })).toEqual([{ code: 'webhook_silent', message: since, hint }]);
  await sql`update calendly_webhook_events set created_at = now() - interval '1 hour'`;
  expect(await problems({ offline: true })).toEqual([]);
});

test('a Calendly that cannot be asked is a problem, with the reason and the fix', async () => {
  const { sandbox, inspect, problems } = await subscribed();
  sandbox.control.fail({ kind: 'status', status: 503, count: null, match: 'webhook_subscriptions' });
  const [unknown] = await problems();
  expect(unknown).toMatchObject({
    code: 'webhook_state_unknown',
    hint: expect.stringContaining('https://www.calendlystatus.com'),
  });
  expect(unknown?.message).toMatch(
    /^could not ask Calendly about the webhook subscription: Calendly returned a server error after all retries: .*503/,
  );
  expect(await problems({ offline: true })).toEqual([]);
  sandbox.control.clearFaults();
  sandbox.control.revoke({ host: 0 });
  expect(await inspect()).toMatchObject({
    listed: [],
    problems: [
      {
        code: 'webhook_state_unknown',
        message: expect.stringContaining('Calendly does not accept the token (401'),
        hint: expect.stringContaining('set CALENDLY_TOKEN'),
      },
    ],
  });
});

test('with several accounts, every subscription that the token may see is checked, in any order of connecting', async () => {
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
  // A plain member may not see it.
  expect(await member.problems()).toEqual([]);
});
