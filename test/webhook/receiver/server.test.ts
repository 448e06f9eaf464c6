import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startWebhookServer } from '../../../src/webhook/receiver/server.js';
import { testDatabase } from '../../support/database.js';
import { booking, cancellation, HOST, receiving } from '../../support/webhooks.js';

const { url, sql } = await testDatabase();
const [user] = await sql`insert into users (email) values ('host@example.com') returning id`;
await sql`insert into calendly_accounts (user_id, calendly_uri, email) values (${user?.id}, ${HOST}, 'host@example.com')`;

test('a booking becomes a meeting, an invitee and a ledger row', async () => {
  const { post, events } = receiving(url);
  const response = await post(booking('E1'));
  expect(response.status, JSON.stringify(events)).toBe(200);
  expect(await response.json()).toEqual({ received: true, status: 'applied' });
  expect(await (await post(booking('E1'))).json()).toEqual({ received: true, status: 'duplicate' });
  const [meeting] = await sql`select * from meetings where external_id = 'E1'`;
  expect(meeting).toMatchObject({
    user_id: user?.id,
    status: 'active',
    synced_via_webhook: true,
    title: 'Meeting E1',
  });
  expect(await sql`select email, status from meeting_invitees`).toEqual([
    { email: 'ge1@example.com', status: 'active' },
  ]);
  const ledger = await sql`select * from calendly_webhook_events`;
  expect(ledger).toHaveLength(1);
  expect(ledger[0]).toMatchObject({ event_type: 'invitee.created', user_id: user?.id, error: null });
  expect(ledger[0]?.processed_at).not.toBeNull();
});

test('a cancellation that arrives before its booking stays a cancellation', async () => {
  const { post } = receiving(url);
  await post(cancellation('E2'));
  await post(booking('E2'));
  const [meeting] =
    await sql`select status, is_deleted, deleted_reason from meetings where external_id = 'E2'`;
  expect(meeting).toEqual({ status: 'canceled', is_deleted: true, deleted_reason: 'canceled' });
  const [guest] =
    await sql`select status, cancel_reason from meeting_invitees where calendly_uri like '%GE2'`;
  expect(guest).toEqual({ status: 'canceled', cancel_reason: 'ill' });
});

test('the server leaves the globals of its program alone', async () => {
  const { Request: before, Response: and } = globalThis;
  const { handler } = receiving(url);
  const server = await startWebhookServer(handler, { host: '127.0.0.1', port: 0 });
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await server.close();
  expect([globalThis.Request, globalThis.Response]).toEqual([before, and]);
});

test('a request whose target is a whole URL, or that has a query, is routed by its path', async () => {
  const { handler } = receiving(url);
  const server = await startWebhookServer(handler, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  const { port } = new URL(server.url);
  const statuses = {
    '/healthz?probe=1': 200,
    'http://elsewhere.test/healthz': 200,
    '//healthz': 404,
    '*': 404,
  };
  for (const [target, status] of Object.entries(statuses)) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});
