import { expect, test } from 'vitest';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { start } from '../support/program.js';
import { testSandbox } from '../support/sandbox.js';

async function testAccount() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 3 });
  const settings: Record<string, string> = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_TOKEN: sandbox.hosts[0]?.token ?? '',
  };
  const json = (...argv: string[]) => runJson(argv, settings);
  return { sql, sandbox, settings, json };
}

test('webhook subscribe creates a key, serve receives bookings, sync repairs the subscription, and health reports it', async () => {
  const { sql, sandbox, settings, json } = await testAccount();
  const port = await freePort();
  const receiver = `http://127.0.0.1:${port}`;
  const created = await json('webhook', 'subscribe', '--url', receiver);
  expect(created.code).toBe(0);
  expect(created.document).toMatchObject({ made: true, replaced: null, subscription: { state: 'active' } });
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = created.document.signing_key;
  const again = await json('webhook', 'subscribe', '--url', receiver, '--no-ping');
  expect(again.document).toMatchObject({ made: false, signing_key: null });

  const running = start(
    ['webhook', 'serve', '--port', String(port), '--sync-every', '1h', '--clean-every', '24h'],
    settings,
  );
  while (!running.output().stderr.includes('Listening'))
    await new Promise((resolve) => setTimeout(resolve, 30));
  const { event } = sandbox.control.book({ start: '+24h' });
  await sandbox.deliveriesSettled();
  const [row] = await sql`select synced_via_webhook from meetings where calendly_uri = ${event.uri}`;
  expect(row).toEqual({ synced_via_webhook: true });
  while (!running.output().stdout.includes('Deleted 0 webhook events'))
    await new Promise((resolve) => setTimeout(resolve, 30));
  while (!running.output().stdout.includes('FULL Calendly sync complete'))
    await new Promise((resolve) => setTimeout(resolve, 30));
  running.child.kill('SIGTERM');
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(stdout).toContain(`✅ New meeting scheduled via webhook: ${event.uri}\n`);
  expect(stdout).not.toContain(settings.CALENDLY_WEBHOOK_SIGNING_KEY);

  const [subscription] = (await json('webhook', 'list')).document.subscriptions;
  expect(subscription).toMatchObject({ ours: true, state: 'active', scope: 'user' });
  expect((await json('health')).document.problems).toEqual([]);
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  const unhealthy = await json('health');
  expect(unhealthy.code).toBe(4);
  expect(unhealthy.document.problems).toMatchObject([{ code: 'webhook_disabled' }]);
  expect((await json('health', '--offline')).document.problems).toEqual([]);

  expect((await json('sync', '--no-repair')).document).not.toHaveProperty('webhook');
  expect((await json('health')).code).toBe(4);
  const repaired = await json('sync');
  expect(repaired.document.webhook).toMatchObject({ state: 'disabled', problem: null });
  expect(repaired.document.webhook.renewed).not.toBe(subscription.uri);
  expect((await json('health')).code).toBe(0);

  expect((await json('webhook', 'unsubscribe')).document.removed).toBe(repaired.document.webhook.renewed);
  expect((await json('webhook', 'list')).document.subscriptions).toEqual([]);
}, 120_000);

test('subscribe checks a receiver before it asks Calendly, and ping says what does not work', async () => {
  const { sandbox, settings, json } = await testAccount();
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = 'the-key-of-the-receiver';
  const port = await freePort();
  const receiver = `http://127.0.0.1:${port}`;
  const refused = await json('webhook', 'subscribe', '--url', receiver);
  expect(refused.code).toBe(1);
  expect(refused.document.error).toMatchObject({
    code: 'failed',
    message: expect.stringContaining(`no connection to 127.0.0.1:${port} (ECONNREFUSED)`),
    hint: expect.stringContaining('--no-ping'),
  });
  expect((await json('webhook', 'list')).document.subscriptions).toEqual([]);
  expect(await runJson(['webhook', 'ping', '--url', receiver], settings)).toMatchObject({
    code: 4,
    document: { ok: false, status: null, problem: { step: 'connection' } },
  });

  const running = start(['webhook', 'serve', '--port', String(port)], settings);
  while (!running.output().stderr.includes('Listening'))
    await new Promise((resolve) => setTimeout(resolve, 30));
  expect((await json('webhook', 'subscribe', '--url', receiver)).document).toMatchObject({ made: true });
  const ping = await runCli(['webhook', 'ping'], settings);
  expect(ping.stdout).toMatch(
    /^✅ http:\S+webhook answered in \d+ ms: DNS, TLS, path, key, clock and database work\.$/m,
  );
  expect(ping.code).toBe(0);
  const wrong = { ...settings, CALENDLY_WEBHOOK_SIGNING_KEY: 'another-signing-key' };
  expect((await runJson(['webhook', 'ping'], wrong)).document.problem).toMatchObject({ step: 'key' });
  running.child.kill('SIGTERM');
  expect((await running.ended).code).toBe(0);
  await sandbox.deliveriesSettled();
}, 60_000);

test('a signing key that is too short is refused with exit code 2', async () => {
  for (const key of ['short', 'a-key-that-is-long-enough,a']) {
    const { code, document } = await runJson(['webhook', 'serve'], { CALENDLY_WEBHOOK_SIGNING_KEY: key });
    expect(code).toBe(2);
    expect(document.error).toMatchObject({
      code: 'settings',
      message: expect.stringContaining('at least 16 characters'),
    });
    expect(JSON.stringify(document)).not.toContain(key);
  }
});

test('health reports retried deliveries and how to check the receiver, and exits with 4', async () => {
  const { sandbox, settings, json } = await testAccount();
  const receiver = `http://127.0.0.1:${await freePort()}`;
  const url = `${receiver}/api/calendly/webhook`;
  const created = await json('webhook', 'subscribe', '--url', `${receiver}?from=calendly-sync`);
  expect(created.document.subscription.callback_url).toBe(`${url}?from=calendly-sync`);
  settings.CALENDLY_WEBHOOK_SIGNING_KEY = created.document.signing_key;
  expect((await json('sync')).code).toBe(0);
  expect((await runCli(['health'], settings)).code).toBe(0);
  sandbox.control.book({ start: '+24h' });
  await expect.poll(() => sandbox.control.deliveries()[0]?.attempts.length).toBe(1);
  const { code, stdout } = await runCli(['health'], settings);
  expect(code).toBe(4);
  const since = '\\S+Z; Calendly disables the subscription after 24 hours';
  expect(stdout).toMatch(
    new RegExp(
      `^✖ deliveries to ${url}\\?from=calendly-sync have failed since ${since} → curl -i ${url}/test$`,
      'm',
    ),
  );
});

test('a delivery for a host who is not connected is applied by that host’s first sync', async () => {
  const { sql, settings, json } = await testAccount();
  const sandbox = await testSandbox({ events: 0 });
  settings.CALENDLY_API_URL = sandbox.url;
  settings.CALENDLY_TOKEN = sandbox.hosts[1]?.token ?? '';
  const { event, invitees } = sandbox.control.book({ host: 1 });
  const body = {
    event: 'invitee.created',
    created_at: event.created_at,
    payload: { ...invitees[0], scheduled_event: event },
  };
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, signature_verified)
    values ('stored', 'invitee.created', ${sql.json(JSON.parse(JSON.stringify(body)))}, true)`;
  expect((await json('webhook', 'replay')).document).toMatchObject({ applied: 0, unmatched: 1, failed: [] });
  const synced = await json('sync');
  expect(synced.code).toBe(0);
  const [row] =
    await sql`select processed_at is not null as done, user_id is not null as owned from calendly_webhook_events`;
  expect(row).toEqual({ done: true, owned: true });
});
