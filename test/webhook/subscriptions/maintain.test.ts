/** What a sync does for webhooks before and after it lists meetings. */
import { expect, test } from 'vitest';
import type { SyncEvent } from '../../../src/sync/report.js';
import { type SyncOptions, sync } from '../../../src/sync/sync.js';
import { subscribe } from '../../../src/webhook/subscriptions/subscribe.js';
import { connectedAccount } from '../../support/connected-account.js';
import { KEY } from '../../support/webhooks.js';

/** An account whose subscription is disabled, with a stored delivery that waits. */
async function neglected() {
  const { sandbox, sql, database, token, ...rest } = await connectedAccount();
  const wanted = { url: 'https://hooks.example.com/hook', scope: 'user' as const, signingKey: KEY };
  const { subscription } = await subscribe({ database, ...rest }, wanted);
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  const { event, invitees } = sandbox.control.book({ host: 0 });
  const body = { event: 'invitee.created', payload: { ...invitees[0], scheduled_event: event } };
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, signature_verified)
    values ('waiting', 'invitee.created', ${JSON.stringify(body)}::text::jsonb, true)`;
  const events: SyncEvent[] = [];
  const run = (more: Partial<SyncOptions> = {}) =>
    sync({
      config: { calendlyToken: token, calendlyApiUrl: sandbox.url, webhookSigningKeys: [KEY] },
      database,
      signal: new AbortController().signal,
      onEvent: (event) => events.push(event),
      ...more,
    });
  const state = async () => {
    const [row] = await sql`select processed_at is not null as applied from calendly_webhook_events`;
    const uris = await sql`select webhook_subscription_uri as uri from calendly_accounts`;
    return { applied: row?.applied, uri: uris[0]?.uri };
  };
  return { subscription, events, run, state, requests: () => sandbox.requests().length };
}

test('the sync of the library recreates a disabled subscription and applies stored deliveries', async () => {
  const { subscription, events, run, state } = await neglected();
  const { webhook, users } = await run();
  expect(users).toMatchObject([{ status: 'complete', mode: 'full', new: 1 }]);
  expect(webhook).toMatchObject({ uri: subscription.uri, state: 'disabled', problem: null });
  expect(await state()).toEqual({ applied: true, uri: webhook?.renewed });
  const types = events.map(({ type }) => type);
  expect(types).toContain('replayed');
  expect(types.indexOf('subscription_repair')).toBeLessThan(types.indexOf('planned'));
  expect(types.indexOf('finished')).toBeLessThan(types.indexOf('replayed'));
});

test('the requests for the subscription are counted with the others of the account', async () => {
  const { run, requests } = await neglected();
  for (const found of ['disabled', 'active']) {
    const before = requests();
    const { totals, webhook } = await run();
    expect(webhook?.state).toBe(found);
    expect(totals.requests).toBe(requests() - before);
  }
});

test('without repair a sync leaves a disabled subscription alone and still applies stored deliveries', async () => {
  const { subscription, run, state } = await neglected();
  expect(await run({ repair: false })).not.toHaveProperty('webhook');
  expect(await state()).toEqual({ applied: true, uri: subscription.uri });
});

test('a dry run neither repairs a subscription nor applies stored deliveries', async () => {
  const { subscription, run, state } = await neglected();
  expect(await run({ dryRun: true })).not.toHaveProperty('webhook');
  expect(await state()).toEqual({ applied: false, uri: subscription.uri });
});
