/** Each part of the way to a receiver, broken in turn. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { pingReceiver } from '../../src/webhook/ping.js';
import { startWebhookServer } from '../../src/webhook/receiver/server.js';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { KEY, receiving } from '../support/webhooks.js';

const PATH = '/api/calendly/webhook';
const { url: databaseUrl, sql } = await testDatabase();

async function receiver(options: Parameters<typeof receiving>[1] = {}): Promise<string> {
  const { handler } = receiving(databaseUrl, options);
  const server = await startWebhookServer(handler, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  return server.url;
}

async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
}

const ping = (url: string, signingKey = KEY) => pingReceiver({ url, signingKey, timeoutMs: 1_000 });
const step = async (url: string, signingKey = KEY) => (await ping(url, signingKey)).problem?.step;

test('a receiver that works answers a ping, and stores nothing', async () => {
  const base = await receiver();
  expect(await ping(base + PATH)).toMatchObject({ status: 200, problem: null });
  expect(await sql`select from calendly_webhook_events`).toHaveLength(0);
});

test('a ping says that the key is wrong', async () => {
  const base = await receiver();
  expect(await step(base + PATH, 'another-signing-key')).toBe('key');
});

test('a ping says that the path is wrong', async () => {
  expect(await step(`${await receiver()}/elsewhere`)).toBe('path');
  expect(await step(await answering((_, response) => response.end('<html>')))).toBe('path');
});

test('a ping says that the database does not answer', async () => {
  const database = openServer('postgres://nobody@127.0.0.1:9/none', { connect_timeout: 1 });
  const base = await receiver({ database });
  expect(await ping(base + PATH)).toMatchObject({ status: 503, problem: { step: 'database' } });
});

test('a ping says that the clocks differ', async () => {
  const url = await answering((_, response) => {
    response.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString());
    response.writeHead(401).end('{"error":"unauthorized"}');
  });
  expect(await step(url)).toBe('clock');
});

test('a ping says that the URL redirects, where Calendly does not follow', async () => {
  const url = await answering((_, response) =>
    response.writeHead(301, { location: 'https://www.example.com/' }).end(),
  );
  expect(await ping(url)).toMatchObject({
    problem: { step: 'redirect', message: 'it redirects to https://www.example.com/' },
  });
});

test('a ping says that the name cannot be resolved, that nothing listens, and that nothing answers', async () => {
  expect(await step(`https://receiver.invalid${PATH}`)).toBe('dns');
  expect(await step(`http://127.0.0.1:${await freePort()}${PATH}`)).toBe('connection');
  expect(await step(await answering(() => {}))).toBe('timeout');
});
