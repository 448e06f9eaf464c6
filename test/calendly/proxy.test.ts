/** HTTP(S)_PROXY and NO_PROXY, with a real proxy and the built program. */
import { readFileSync } from 'node:fs';
import { createServer, request as forward, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { createCalendlyClient } from '../../src/calendly/client.js';
import { proxyFor } from '../../src/calendly/proxy.js';
import { loadConfig } from '../../src/config.js';
import { testDatabase } from '../support/database.js';
import { calendlySync } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { createCertificate } from '../support/tls-proxy.js';

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Starts a proxy; `lines` are the first lines of the requests that it got, with their credentials. */
async function startProxy({ refuses = false } = {}) {
  const lines: string[] = [];
  const record = ({ method, url, headers }: IncomingMessage) => {
    const [, credentials = ''] = headers['proxy-authorization']?.split(' ') ?? [];
    lines.push([method, url, Buffer.from(credentials, 'base64')].join(' ').trim());
  };
  const server = createServer((request, response) => {
    record(request);
    const { method, headers } = request;
    const onward = forward(request.url ?? '', { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    record(request);
    if (refuses) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    // The name is the proxy's to resolve: nobody else knows it.
    const target = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  return { port: await listening(server), lines };
}

/** Puts TLS in front of a sandbox, under a name that only a proxy resolves. */
async function withTls(sandboxUrl: string) {
  const certificate = createCertificate('DNS:calendly.internal');
  const options = { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) };
  const server = createTlsServer(options, (socket) => {
    const target = connect(Number(new URL(sandboxUrl).port), '127.0.0.1');
    target.on('error', () => socket.destroy());
    socket.on('error', () => {}).on('close', () => target.destroy());
    socket.pipe(target).pipe(socket);
  });
  const port = await listening(server);
  return { authority: `calendly.internal:${port}`, certificate: certificate.cert };
}

test('a sync through HTTPS_PROXY sends every request through a tunnel, which the proxy cannot read', async () => {
  const [{ url }, sandbox, proxy] = [
    await testDatabase(),
    await testSandbox({ events: 5 }),
    await startProxy(),
  ];
  const { authority, certificate } = await withTls(sandbox.url);
  const settings = {
    ...settingsOf(sandbox, url),
    CALENDLY_API_URL: `https://${authority}`,
    NODE_EXTRA_CA_CERTS: certificate,
    https_proxy: `http://me:p%40ss@127.0.0.1:${proxy.port}`,
  };
  const synced = await calendlySync(['sync', '--json'], settings);
  expect(synced).toMatchObject({ code: 0 });
  const { totals } = JSON.parse(synced.stdout);
  expect(totals.new + totals.recorded_canceled).toBe(5);
  expect(new Set(proxy.lines)).toEqual(new Set([`CONNECT ${authority} me:p@ss`]));
});

test('a proxy that refuses the tunnel is named in the error, without its password', async () => {
  const [{ url }, sandbox, proxy] = [
    await testDatabase(),
    await testSandbox(),
    await startProxy({ refuses: true }),
  ];
  const failed = await calendlySync(['sync', '--json'], {
    ...settingsOf(sandbox, url),
    CALENDLY_API_URL: 'https://calendly.internal',
    HTTPS_PROXY: `me:s3cret@127.0.0.1:${proxy.port}`,
  });
  expect(failed.code).toBe(75);
  expect(failed.stdout).toContain(`the proxy 127.0.0.1:${proxy.port} answered 407`);
  expect(failed.stdout + failed.stderr).not.toContain('s3cret');
});

test('a proxy that never answers does not outlast the timeout of a request', async () => {
  const silent = await listening(createServer().on('connect', () => {}));
  const client = createCalendlyClient({
    baseUrl: 'https://calendly.internal',
    token: 'T',
    timeoutMs: 50,
    retryPauseMs: 1,
    proxies: { httpsProxy: `http://127.0.0.1:${silent}` },
  });
  await expect(client.me()).rejects.toMatchObject({
    code: 'calendly_unreachable',
    message: expect.stringContaining('timed out'),
  });
});

test('a plain request to this machine goes through HTTP_PROXY if the proxy is on this machine, too', async () => {
  const [sandbox, proxy] = [await testSandbox(), await startProxy()];
  const token = sandbox.hosts[0]?.token ?? '';
  const through = (more: object) =>
    createCalendlyClient({
      baseUrl: sandbox.url,
      token,
      proxies: { httpProxy: `http://127.0.0.1:${proxy.port}`, ...more },
    }).me();
  await through({});
  expect(proxy.lines).toEqual([`GET ${sandbox.url}/users/me`]);
  await through({ noProxy: ['127.0.0.1'] });
  await through({ httpProxy: 'http://192.0.2.1:8080' });
  expect(proxy.lines).toHaveLength(1);
});

test('NO_PROXY excludes a host, its subdomains, one port of it, or everything', () => {
  const excluded = (url: string, ...noProxy: string[]) =>
    proxyFor(new URL(url), { httpsProxy: 'http://proxy.example:3128', noProxy }) === null;
  const api = 'https://api.calendly.com';
  for (const entry of [
    '*',
    'api.calendly.com',
    'calendly.com',
    '.calendly.com',
    '*.Calendly.com',
    'calendly.com:443',
  ]) {
    expect(excluded(api, 'other.example', entry)).toBe(true);
  }
  for (const entry of ['example.com', 'ndly.com', 'calendly.com:8443', 'api.calendly.com.example']) {
    expect(excluded(api, entry)).toBe(false);
  }
  expect(excluded(api)).toBe(false);
});

test('the proxy settings are read in either case, and without a scheme', () => {
  const read = (environment: Record<string, string>) => loadConfig(environment, {}, '/nonexistent');
  expect(read({ HTTPS_PROXY: 'proxy.example:3128' }).httpsProxy).toBe('http://proxy.example:3128');
  expect(read({ http_proxy: 'http://a:b@proxy.example' }).httpProxy).toBe('http://a:b@proxy.example');
  expect(read({ no_proxy: 'localhost, .example.com' }).noProxy).toEqual(['localhost', '.example.com']);
  expect(() => read({ HTTPS_PROXY: 'socks5://me:s3cret@proxy.example' })).toThrow(
    /^HTTPS_PROXY: (?!.*s3cret)/,
  );
});
