import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { type Answered, ask, testSandbox } from '../support/sandbox.js';

interface Received {
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  body: any;
}

/** A receiver that answers each delivery with the next status, the last one for ever. */
async function receiver(...statuses: number[]) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      received.push({ headers: request.headers, text, body: JSON.parse(text) });
      response.writeHead(statuses[Math.min(received.length, statuses.length) - 1] ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, received };
}

const ALL = ['invitee.created', 'invitee.canceled', 'invitee_no_show.created', 'invitee_no_show.deleted'];

function subscribe(
  sandbox: Sandbox,
  url: string,
  more: Record<string, unknown> = {},
  host = 0,
): Promise<Answered> {
  const body = { url, events: ALL, organization: sandbox.organization, scope: 'organization', ...more };
  return ask(sandbox, '/webhook_subscriptions', { method: 'POST', host, body: JSON.stringify(body) });
}

const owned = (sandbox: Sandbox, host: number) => ({ scope: 'user', user: sandbox.hosts[host]?.uri });

describe('webhook subscriptions', () => {
  test('a subscription is created, shown, listed and deleted, and never shows its key', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const made = await subscribe(sandbox, 'https://example.com/hook', { signing_key: 'secret-key' });
    expect(made.status).toBe(201);
    expect(made.body.resource).toMatchObject({
      callback_url: 'https://example.com/hook',
      state: 'active',
      events: ALL,
      scope: 'organization',
      user: null,
      creator: sandbox.hosts[0]?.uri,
      retry_started_at: null,
    });
    const path = new URL(made.body.resource.uri).pathname;
    const list = `/webhook_subscriptions?organization=${sandbox.organization}&scope=organization`;
    expect((await ask(sandbox, path)).body).toEqual(made.body);
    const listed = await ask(sandbox, list);
    expect(listed.body.collection).toEqual([made.body.resource]);
    expect(JSON.stringify([made.body, listed.body])).not.toContain('secret-key');
    expect((await ask(sandbox, path, { method: 'DELETE' })).status).toBe(204);
    expect((await ask(sandbox, path)).status).toBe(404);
    expect((await ask(sandbox, list)).body.collection).toEqual([]);
  });

  test('a second subscription for the same URL is refused, unless its scope or user differs', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const url = 'https://example.com/hook';
    expect((await subscribe(sandbox, url)).status).toBe(201);
    const twice = await subscribe(sandbox, url, { events: ['invitee.created'] });
    expect(twice.status).toBe(409);
    expect(twice.body.title).toBe('Already Exists');
    expect((await subscribe(sandbox, url, owned(sandbox, 0))).status).toBe(201);
    expect((await subscribe(sandbox, url, owned(sandbox, 1), 1)).status).toBe(201);
  });

  test.each([
    ['url', { url: 'nowhere' }],
    ['url', { url: 'ftp://example.com' }],
    ['events', { events: [] }],
    ['events', { events: ['invitee.exploded'] }],
    ['scope', { scope: 'planet' }],
    ['user', { scope: 'user' }],
    ['organization', { organization: 'ours' }],
  ])('a subscription with an invalid %s is refused: %j', async (parameter, more) => {
    const sandbox = await testSandbox({ events: 0 });
    const { status, body } = await subscribe(sandbox, 'https://example.com/hook', more);
    expect(status).toBe(400);
    expect(body.details).toMatchObject([{ parameter }]);
  });

  test("an organization's subscriptions are for its owner and admins, those of a user for that user", async () => {
    const sandbox = await testSandbox({ events: 0 });
    const url = 'https://example.com/hook';
    expect((await subscribe(sandbox, url, {}, 1)).status).toBe(403);
    expect((await subscribe(sandbox, url, owned(sandbox, 1), 0)).status).toBe(403);
    expect(
      (await subscribe(sandbox, url, { organization: 'https://api.calendly.com/organizations/X' })).status,
    ).toBe(403);
    const made = await subscribe(sandbox, url, {}, 2);
    const path = new URL(made.body.resource.uri).pathname;
    expect((await ask(sandbox, path, { host: 1 })).status).toBe(403);
    expect((await ask(sandbox, path, { host: 1, method: 'DELETE' })).status).toBe(403);
    const list = `/webhook_subscriptions?organization=${sandbox.organization}`;
    expect((await ask(sandbox, `${list}&scope=organization`, { host: 1 })).status).toBe(403);
    expect((await ask(sandbox, `${list}&scope=user&user=${sandbox.hosts[0]?.uri}`, { host: 1 })).status).toBe(
      403,
    );
    expect((await ask(sandbox, `${list}&scope=user`)).status).toBe(400);
    expect((await ask(sandbox, '/webhook_subscriptions')).body.details).toHaveLength(2);
  });
});

describe('deliveries', () => {
  test('a delivery reports a booking, signed over the raw body', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { url, received } = await receiver(200);
    await subscribe(sandbox, url, { signing_key: 'key-1' });
    const { event, invitees } = sandbox.control.book({ invitees: [{ name: 'Zoë \u0000 👩🏽‍🚀' }] });
    await sandbox.deliveriesSettled();
    expect(received).toHaveLength(1);
    const [{ headers, text, body }] = received as [Received];
    expect(body).toMatchObject({ event: 'invitee.created', created_by: sandbox.hosts[0]?.uri });
    const { scheduled_event, ...invitee } = body.payload;
    expect(invitee).toEqual(invitees[0]);
    expect(scheduled_event).toMatchObject({ uri: event.uri, invitees_counter: event.invitees_counter });
    expect(scheduled_event).not.toHaveProperty('calendar_event');
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['calendly-webhook-signature'])) ?? [];
    expect(v1).toBe(createHmac('sha256', 'key-1').update(`${t}.${text}`).digest('hex'));
    expect(Math.abs(Number(t) - Date.now() / 1_000)).toBeLessThan(60);
  });

  test("an envelope's time has whole seconds, and more digits on request", async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { url, received } = await receiver(200);
    await subscribe(sandbox, url);
    sandbox.control.book();
    await sandbox.deliveriesSettled();
    sandbox.control.set({ created_at_digits: 6 });
    sandbox.control.book();
    await sandbox.deliveriesSettled();
    expect(received[0]?.body.created_at).toMatch(/T\d\d:\d\d:\d\dZ$/);
    const { created_at, payload } = received[0]?.body ?? {};
    expect(Date.parse(created_at)).toBeLessThanOrEqual(Date.parse(payload.created_at));
    expect(received[1]?.body.created_at).toMatch(/\.\d{6}Z$/);
  });

  test('there is one delivery for each invitee and change, and two for a reschedule', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { url, received } = await receiver(200);
    await subscribe(sandbox, url);
    const { control } = sandbox;
    const { event } = control.book({ invitees: 2, limit: 5 });
    control.join({ event: event.uri });
    control.cancel({ event: event.uri, invitee: -1 });
    control.noShow({ event: event.uri });
    control.noShow({ event: event.uri, marked: false });
    control.edit({ event: event.uri, set: { name: 'No webhook reports it' } });
    const moved = control.reschedule({ event: event.uri });
    control.cancel({ event: moved.new.event.uri });
    await sandbox.deliveriesSettled();
    const kinds = new Map<string, number>();
    for (const { body } of received) kinds.set(body.event, (kinds.get(body.event) ?? 0) + 1);
    expect(Object.fromEntries(kinds)).toEqual({
      'invitee.created': 3 + 2,
      'invitee.canceled': 1 + 2 + 2,
      'invitee_no_show.created': 2,
      'invitee_no_show.deleted': 2,
    });
    const canceled = received.filter(
      ({ body }) => body.event === 'invitee.canceled' && body.payload.rescheduled,
    );
    const bookedAnew = received.filter(
      ({ body }) => body.payload.old_invitee && body.event === 'invitee.created',
    );
    expect(canceled.map(({ body }) => body.payload.new_invitee).sort()).toEqual(
      bookedAnew.map(({ body }) => body.payload.uri).sort(),
    );
    expect(received.every(({ headers }) => headers['calendly-webhook-signature'] === undefined)).toBe(true);
  });

  test('a delivery goes to the subscriptions of its event and host', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const hooks = await Promise.all([receiver(200), receiver(200), receiver(200)]);
    const [everything, mine, canceledOnly] = hooks.map(({ url }) => url);
    await subscribe(sandbox, everything ?? '');
    await subscribe(sandbox, mine ?? '', owned(sandbox, 1), 1);
    await subscribe(sandbox, canceledOnly ?? '', { events: ['invitee.canceled'] });
    sandbox.control.book({ host: 0 });
    const { event } = sandbox.control.book({ host: 1 });
    sandbox.control.cancel({ event: event.uri });
    await sandbox.deliveriesSettled();
    expect(hooks.map(({ received }) => received.length)).toEqual([3, 2, 1]);
  });

  test('a delivery is retried until it arrives, and the subscription shows the retries', async () => {
    const sandbox = await testSandbox({ events: 0 });
    sandbox.control.set({ retry_scale: 0.02 });
    const { url, received } = await receiver(500, 302, 200);
    const made = await subscribe(sandbox, url, { signing_key: 'key-1' });
    const state = async () => (await ask(sandbox, new URL(made.body.resource.uri).pathname)).body.resource;
    sandbox.control.book();
    await expect.poll(() => received.length).toBe(1);
    await expect.poll(async () => (await state()).retry_started_at).not.toBeNull();
    await sandbox.deliveriesSettled();
    expect(received.map(({ text }) => text)).toEqual(Array(3).fill(received[0]?.text));
    expect(await state()).toMatchObject({ state: 'active', retry_started_at: null });
    const [delivery] = sandbox.control.deliveries();
    expect(delivery).toMatchObject({ state: 'delivered', event: 'invitee.created', url });
    expect(delivery?.attempts.map(({ status }) => status)).toEqual([500, 302, 200]);
  });

  test('a delivery that never arrives disables the subscription, and later ones are not sent', async () => {
    const sandbox = await testSandbox({ events: 0 });
    sandbox.control.set({ retry_scale: 0.000_001 });
    const { url, received } = await receiver(503);
    const made = await subscribe(sandbox, url);
    sandbox.control.book();
    await sandbox.deliveriesSettled();
    const path = new URL(made.body.resource.uri).pathname;
    expect((await ask(sandbox, path)).body.resource).toMatchObject({
      state: 'disabled',
      retry_started_at: expect.any(String),
    });
    const before = received.length;
    sandbox.control.book();
    await sandbox.deliveriesSettled();
    expect(received.length).toBe(before);
    expect(sandbox.control.deliveries()).toMatchObject([{ state: 'given_up' }]);
    expect((await subscribe(sandbox, url)).status).toBe(409);
  });

  test('a delivery records why there was no answer, and its retries end with the sandbox', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const gone = await testSandbox({ events: 0 });
    await gone.close();
    await subscribe(sandbox, gone.url);
    sandbox.control.book();
    await expect.poll(() => sandbox.control.deliveries()[0]?.attempts.length).toBe(1);
    expect(sandbox.control.deliveries()[0]).toMatchObject({
      state: 'pending',
      attempts: [{ status: null, error: 'ECONNREFUSED' }],
    });
    await sandbox.close();
    await sandbox.deliveriesSettled();
  });

  test('nothing is sent to a subscription that was disabled with the control API', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { url, received } = await receiver(200);
    const subscription = (await subscribe(sandbox, url)).body.resource.uri;
    expect(sandbox.control.disableSubscription({ subscription }).state).toBe('disabled');
    sandbox.control.book();
    await sandbox.deliveriesSettled();
    expect(received).toEqual([]);
    expect(() => sandbox.control.disableSubscription({ subscription: 'none' })).toThrow(/no subscription/);
  });
});
