/** How often a service syncs an account: less often while webhooks prove to work, at once after any doubt. */
import { expect, test } from 'vitest';
import { keyFingerprint } from '../../src/calendly/signature.js';
import { syncAccounts } from '../../src/sync/accounts.js';
import type { UserResult } from '../../src/sync/report.js';
import { connectedAccounts } from '../support/accounts.js';
import { booking, KEY, receiving } from '../support/webhooks.js';

type Connected = Awaited<ReturnType<typeof connectedAccounts>>;
const MINUTE = 60_000;
const rhythm = { everyMs: 15 * MINUTE, maxEveryMs: 6 * 60 * MINUTE };

/** Runs a service until it has synced every account once. */
async function once({ options, sandbox }: Connected, count = sandbox.hosts.length): Promise<UserResult[]> {
  const stop = new AbortController();
  const results: UserResult[] = [];
  const config = { ...options.config, webhookSigningKeys: [KEY] };
  await syncAccounts(
    {
      ...options,
      config,
      signal: stop.signal,
      onAccount(result) {
        results.push(result);
        if (results.length === count) stop.abort();
      },
    },
    rhythm,
  );
  return results;
}

/** Creates a working subscription for the first host. */
async function subscribed(connected: Connected) {
  const { sandbox, sql } = connected;
  const [host] = sandbox.hosts;
  const response = await fetch(`${sandbox.url}/webhook_subscriptions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${host?.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      url: 'https://hooks.example.com/api/calendly/webhook',
      events: ['invitee.created', 'invitee.canceled'],
      organization: sandbox.organization,
      user: host?.uri,
      scope: 'user',
      signing_key: KEY,
    }),
  });
  const { resource } = (await response.json()) as { resource: { uri: string } };
  await sql`
    update calendly_accounts set webhook_subscription_uri = ${resource.uri}, webhook_scope = 'user',
      webhook_url = 'https://hooks.example.com/api/calendly/webhook', webhook_key_fingerprint = ${keyFingerprint(KEY)}
    where calendly_uri = ${host?.uri ?? ''}`;
  const every = async () =>
    (
      await sql`
    select every_s, round(extract(epoch from due_at - started_at))::int as due_in
    from calendly_leases l join calendly_accounts a on a.id = l.account_id where calendly_uri = ${host?.uri ?? ''}`
    )[0];
  const makeDue = () => sql`
    update calendly_leases set due_at = now(), started_at = started_at - interval '40 minutes'`;
  return { every, makeDue, host };
}

test('an account whose webhooks prove to work is synced half as often after each sync, up to 6 hours', async () => {
  const connected = await connectedAccounts({ hosts: 1, events: 5 });
  const { every, makeDue } = await subscribed(connected);
  for (const minutes of [30, 60, 120, 240, 360, 360]) {
    await once(connected);
    expect(await every()).toEqual({ every_s: minutes * 60, due_in: minutes * 60 });
    await makeDue();
  }
});

test('a booking that no webhook told brings the account, and all with the same receiver, back to 15 minutes', async () => {
  const connected = await connectedAccounts({ hosts: 2, events: 3 });
  const { every, makeDue } = await subscribed(connected);
  const { sql, sandbox } = connected;
  await once(connected);
  await makeDue();
  await once(connected);
  expect(await every()).toMatchObject({ every_s: 3_600 });
  await sql`update calendly_accounts set webhook_url = 'https://hooks.example.com/api/calendly/webhook'`;
  sandbox.control.book({ start: '+3d', created: '-20m' });
  const other = sql`(select id from calendly_accounts where webhook_subscription_uri is null)`;
  await makeDue();
  await sql`
    update calendly_leases set started_at = now(), due_at = now() + interval '14 minutes' where account_id = ${other}`;
  await once(connected, 1);
  expect(await every()).toMatchObject({ every_s: 900 });
  expect(await sql`select due_at <= now() as due from calendly_leases where account_id = ${other}`).toEqual([
    { due: true },
  ]);
});

test('a delivery makes its account due in 2 minutes', async () => {
  const connected = await connectedAccounts({ hosts: 1, events: 3 });
  const { sql, url, sandbox } = connected;
  await once(connected);
  const { post } = receiving(url);
  const memberships = [{ user: sandbox.hosts[0]?.uri }];
  expect((await post(booking('WAKE', { event_memberships: memberships }))).status).toBe(200);
  await expect
    .poll(
      async () => (await sql`select extract(epoch from due_at - now())::int as s from calendly_leases`)[0]?.s,
    )
    .toBeLessThanOrEqual(120);
});
