/** HTTP below the client, against a server of this file. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { createCalendlyClient } from '../../src/calendly/client.js';
import { createTransport } from '../../src/calendly/transport.js';

const PROFILE = { resource: { uri: 'https://api.calendly.com/users/U1', email: 'host@example.com' } };

/** Starts a server; `sockets` counts the connections to it. */
async function serving(listener: RequestListener) {
  const server = createServer(listener);
  let sockets = 0;
  server.on('connection', () => sockets++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sockets: () => sockets };
}

function get(url: string, signal = new AbortController().signal) {
  return createTransport(new URL(url))({ method: 'GET', url: new URL(url), headers: {}, signal });
}

test('requests that follow each other use one connection', async () => {
  const { url, sockets } = await serving((_, response) => response.end(JSON.stringify(PROFILE)));
  const client = createCalendlyClient({ baseUrl: url, token: 'T' });
  for (let count = 0; count < 10; count++) await client.me();
  expect(sockets()).toBe(1);
});

test('each request names this program, its token and what it accepts', async () => {
  const headers: unknown[] = [];
  const { url } = await serving((request, response) => {
    headers.push(request.headers);
    response.end(JSON.stringify(PROFILE));
  });
  await createCalendlyClient({ baseUrl: url, token: 'T' }).me();
  expect(headers[0]).toMatchObject({
    authorization: 'Bearer T',
    accept: 'application/json',
    'user-agent': expect.stringMatching(/^calendly-sync\/\d/),
  });
});

test('a compressed response is decompressed, and a byte-order mark is removed', async () => {
  const { url } = await serving((request, response) => {
    expect(request.headers['accept-encoding']).toBe('gzip');
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('\ufeff{"name":"Zoë"}'));
  });
  expect((await get(url)).text).toBe('{"name":"Zoë"}');
});

test('a redirect is not followed, so the token goes to no other address', async () => {
  const other = await serving((_, response) => response.end('{}'));
  const { url } = await serving((_, response) =>
    response.writeHead(302, { location: `${other.url}/users/me` }).end(),
  );
  const client = createCalendlyClient({ baseUrl: url, token: 'T', retryPauseMs: 1 });
  await expect(client.me()).rejects.toMatchObject({
    code: 'calendly_invalid_response',
    message: expect.stringContaining('redirects are not followed'),
  });
  expect(other.sockets()).toBe(0);
});

test('a response that stops in the middle of its body fails after the timeout', async () => {
  const { url } = await serving((_, response) => response.writeHead(200).write('{"resource":'));
  const outcomes: unknown[] = [];
  const onAttempt = ({ outcome }: { outcome: number | string }) => outcomes.push(outcome);
  const client = createCalendlyClient({
    baseUrl: url,
    token: 'T',
    timeoutMs: 50,
    retryPauseMs: 1,
    onAttempt,
  });
  await expect(client.me()).rejects.toMatchObject({ code: 'calendly_unreachable' });
  expect(new Set(outcomes)).toEqual(new Set(['timed out']));
});

test('an abort ends a request that waits for its response', async () => {
  const abort = new AbortController();
  const { url } = await serving(() => abort.abort(new Error('stopped')));
  const client = createCalendlyClient({ baseUrl: url, token: 'T', signal: abort.signal });
  await expect(client.me()).rejects.toThrow('stopped');
});

test('a connection that is cut in the middle of a body is an error, not a short body', async () => {
  const { url } = await serving((_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy());
  });
  await expect(get(url)).rejects.toThrow();
});

test('the token is sent without TLS only to this machine', () => {
  const create = (baseUrl: string) => () => createCalendlyClient({ baseUrl, token: 'T' });
  for (const remote of ['http://calendly.example', 'http://10.0.0.1:8080', 'http://127.0.0.1.example']) {
    expect(create(remote)).toThrow(expect.objectContaining({ code: 'settings' }));
  }
  for (const allowed of ['https://api.calendly.com', 'http://localhost:1', 'http://[::1]:1']) {
    expect(create(allowed)).not.toThrow();
  }
});
