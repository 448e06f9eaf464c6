import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { toDatabaseError } from '../../src/database/errors.js';
import { testDatabase } from '../support/database.js';
import { createCertificate, startTlsProxy } from '../support/tls-proxy.js';

const { url } = await testDatabase();
const forName = createCertificate('DNS:localhost');
const forAddress = createCertificate('IP:127.0.0.1');

/** Connects, and returns 'connected' or the error's code and message. */
async function outcome(databaseUrl: string): Promise<string> {
  const database = openServer(databaseUrl);
  onTestFinished(() => database.close());
  try {
    await database.transaction((sql) => sql`select 1`);
    return 'connected';
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint: string };
    return `${code}: ${message} ${hint}`;
  }
}

test('sslmode=verify-full checks the certificate against the host name', async () => {
  const proxy = await startTlsProxy(url, forName);
  const query = `sslmode=verify-full&sslrootcert=${forName.cert}`;
  expect(await outcome(proxy.url('localhost', query))).toBe('connected');
  expect(await outcome(proxy.url('127.0.0.1', query))).toMatch(
    /^database_refused: The TLS connection .*ALTNAME_INVALID/,
  );
  expect(proxy.connections).toEqual(['tls']);
});

test('sslmode=verify-full checks the certificate against an IP address', async () => {
  const proxy = await startTlsProxy(url, forAddress);
  const query = `sslmode=verify-full&sslrootcert=${forAddress.cert}`;
  expect(await outcome(proxy.url('127.0.0.1', query))).toBe('connected');
  expect(await outcome(proxy.url('localhost', query))).toMatch(
    /^database_refused: The TLS connection .*ALTNAME_INVALID/,
  );
});

test('sslmode=verify-ca checks the CA and not the name', async () => {
  const proxy = await startTlsProxy(url, forName);
  expect(await outcome(proxy.url('127.0.0.1', `sslmode=verify-ca&sslrootcert=${forName.cert}`))).toBe(
    'connected',
  );
  expect(await outcome(proxy.url('127.0.0.1', `sslmode=require&sslrootcert=${forName.cert}`))).toBe(
    'connected',
  );
  for (const mode of ['verify-ca', 'require']) {
    const wrong = await outcome(proxy.url('127.0.0.1', `sslmode=${mode}&sslrootcert=${forAddress.cert}`));
    expect(wrong).toMatch(/^database_refused: The TLS connection .*CERT.*sslrootcert=FILE/);
  }
  expect(await outcome(proxy.url('localhost', 'sslmode=verify-full'))).toMatch(
    /^database_refused: The TLS .*NODE_EXTRA_CA_CERTS/,
  );
});

test('sslmode=require and sslmode=prefer use TLS with any certificate, sslmode=disable does not use TLS', async () => {
  const proxy = await startTlsProxy(url, forName);
  for (const mode of ['require', 'prefer', 'allow', 'disable']) {
    expect(await outcome(proxy.url('127.0.0.1', `sslmode=${mode}`))).toBe('connected');
  }
  expect(proxy.connections).toEqual(['tls', 'tls', 'tls', 'plain']);
});

test('to a server without TLS, sslmode=prefer connects, and sslmode=require reports the reason', async () => {
  const proxy = await startTlsProxy(url, null);
  expect(await outcome(proxy.url('127.0.0.1', 'sslmode=prefer'))).toBe('connected');
  expect(proxy.connections).toEqual(['plain']);
  expect(await outcome(proxy.url('127.0.0.1', 'sslmode=require'))).toMatch(
    /does not accept TLS\. .*sslmode=disable/,
  );
});

test('a client certificate that the URL names is sent to the server', async () => {
  const proxy = await startTlsProxy(url, forName);
  const query = `sslmode=require&sslcert=${forAddress.cert}&sslkey=${forAddress.key}`;
  expect(await outcome(proxy.url('127.0.0.1', query))).toBe('connected');
  expect(proxy.connections).toEqual(['tls test']);
});

test('an IPv6 address in a URL is connected to as it is, without a name lookup', async () => {
  const literal = new URL(url);
  literal.hostname = '[::1]';
  literal.port = '9';
  expect(await outcome(literal.href)).toMatch(/^database_unreachable: The database at \[::1\]:9\//);
});

test('without an IPv6 route, the error for a host that has only an IPv6 address recommends the pooler', () => {
  const failed = { code: 'ENETUNREACH', address: '2001:db8::1', query: '' };
  const error = Object.assign(new Error('connect ENETUNREACH'), failed);
  expect(toDatabaseError(error, 'db.example.com:5432/app')).toMatchObject({
    code: 'database_unreachable',
    hint: expect.stringContaining('pooler'),
  });
});

test('a URL with the parameters of hosting dashboards and other clients connects', async () => {
  const proxy = await startTlsProxy(url, forName);
  for (const query of [
    'sslmode=require&channel_binding=require',
    'sslmode=require&supa=base-pooler.x&pgbouncer=true&connection_limit=1',
    'schema=public&pool_timeout=10&sslaccept=accept_invalid_certs',
    'sslmode=require&uselibpqcompat=true&gssencmode=disable&keepalives=1&target_session_attrs=read-write',
    'sslmode=no-verify&pool_max_conns=5&statement_cache_size=0',
  ]) {
    expect(await outcome(proxy.url('localhost', query)), query).toBe('connected');
  }
});

test('parameters of the server in a URL reach the server', async () => {
  const server = new URL(url);
  server.search = '?statement_timeout=4321&options=-c%20lock_timeout%3D1234&application_name=mine';
  const database = openServer(server.href);
  onTestFinished(() => database.close());
  const [row] = await database.transaction(
    (sql) => sql`
      select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
        current_setting('application_name') as application, current_setting('TimeZone') as zone`,
  );
  expect(row).toEqual({ statement: '4321ms', lock: '1234ms', application: 'mine', zone: 'UTC' });
});
