import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadConfig, secretsOf } from '../../src/config.js';
import { connectionOptions, withPgVariables } from '../../src/database/connection-options.js';

const optionsOf = (url: string) => connectionOptions(url).options;

test('every user, password, host, port and database comes out of the URL as it went in', () => {
  const text = fc
    .string({ minLength: 1, unit: 'grapheme' })
    .filter((value) => value.replaceAll(',', '') !== '');
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant('localhost'));
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(
      fc.record({
        user: text,
        pass: text,
        database: text,
        servers: fc.array(fc.tuple(host, port), { minLength: 1, maxLength: 3 }),
      }),
      ({ user, pass, database, servers }) => {
        const authority = servers
          .map(([name, at]) => `${name.includes(':') ? `[${name}]` : name}:${at}`)
          .join(',');
        const [u, p, d] = [user, pass, database].map(encodeURIComponent);
        const { options, label } = connectionOptions(`postgresql://${u}:${p}@${authority}/${d}`);
        expect(options).toMatchObject({
          user,
          pass,
          database,
          host: servers.map(([name]) => name),
          port: servers.map(([, at]) => at),
        });
        expect(label).toBe(`${authority}/${database}`);
      },
    ),
  );
});

test('parameters of other clients are not sent to the server, and those of the server are', () => {
  const url =
    'postgres://u:p@db.example.com/app?pgbouncer=true&connection_limit=1&pool_timeout=0&supa=base-pooler.x&schema=public' +
    '&channel_binding=require&sslaccept=strict&uselibpqcompat=true&gssencmode=disable&keepalives=1&statement_cache_size=0' +
    '&TimeZone=Asia/Tokyo&statement_timeout=5000&options=-c%20search_path%3Dapp&app.tenant=7&application_name=mine';
  expect(optionsOf(url).connection).toEqual({
    statement_timeout: '5000',
    options: '-c search_path=app',
    'app.tenant': '7',
    application_name: 'mine',
  });
});

test('any unknown parameter of a URL is accepted and not sent to the server', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^x[a-z_]{0,20}$/), fc.string(), (name, value) => {
      expect(optionsOf(`postgres://u@h/d?${new URLSearchParams({ [name]: value })}`).connection).toEqual({});
    }),
  );
});

test('each sslmode means the same as in libpq', () => {
  const ssl = (query: string, host = 'db.example.com') => optionsOf(`postgres://u@${host}/d?${query}`).ssl;
  expect(ssl('sslmode=disable')).toBe(false);
  expect(ssl('sslmode=allow')).toBe('prefer');
  expect(ssl('sslmode=prefer')).toBe('prefer');
  for (const query of ['sslmode=require', 'ssl=require', 'sslmode=no-verify']) {
    expect(ssl(query), query).toEqual({ rejectUnauthorized: false });
  }
  for (const query of ['sslmode=verify-ca', 'sslmode=verify-full', 'ssl=true', 'sslrootcert=system']) {
    const verified = ssl(query);
    expect(verified, query).toEqual({ checkServerIdentity: expect.any(Function) });
  }
  expect(() => ssl('sslmode=requires')).toThrow('has an invalid sslmode "requires"');
});

test('TLS is the default for a remote server, and not for a server on this machine', () => {
  for (const local of ['localhost', '127.0.0.1', '[::1]', '']) {
    expect(optionsOf(`postgres://u@${local}/d`).ssl, local).toBe(false);
  }
  for (const remote of ['db.example.com', '10.0.0.7', '[2001:db8::1]', 'localhost,db.example.com']) {
    expect(optionsOf(`postgres://u@${remote}/d`).ssl, remote).toBe('prefer');
  }
  expect(optionsOf('postgres:///d?host=/var/run/postgresql&sslmode=require')).toMatchObject({
    ssl: false,
    path: '/var/run/postgresql/.s.PGSQL.5432',
  });
});

test('a certificate file that cannot be read is a settings error that names the parameter', () => {
  expect(() => optionsOf('postgres://u:p4ssw0rd@h/d?sslrootcert=/nowhere/ca.pem')).toThrow(
    'sslrootcert: cannot read /nowhere/ca.pem (ENOENT).',
  );
});

test('environment variables of libpq add only what the URL lacks', () => {
  const environment: Record<string, string> = {
    PGHOST: 'elsewhere',
    PGPORT: '6543',
    PGUSER: 'other',
    PGPASSWORD: 's3cret & more',
    PGSSLMODE: 'require',
    PGAPPNAME: 'app',
  };
  const full = withPgVariables(
    'postgres://me@db.example.com/app?sslmode=prefer',
    (name) => environment[name],
  );
  expect(optionsOf(full)).toEqual({
    host: ['db.example.com'],
    port: [6543],
    user: 'me',
    pass: 's3cret & more',
    database: 'app',
    ssl: 'prefer',
    connection: { application_name: 'app' },
  });
  expect(withPgVariables('postgres://u:p@h:1/d', () => undefined)).toBe('postgres://u:p@h:1/d');
});

test('a password from PGPASSWORD is a secret like one in the URL', () => {
  const config = loadConfig(
    { DATABASE_URL: 'postgres://me@db/app', PGPASSWORD: 's3cret & more' },
    {},
    '/nowhere',
  );
  expect(secretsOf(config)).toContain('s3cret & more');
});

test('an invalid URL is explained without the password in it', () => {
  const cases: [string, string][] = [
    ['postgres://u:p4ss#w0rd@h/d', 'unescaped #'],
    ['postgres://u:p4ss/w0rd@h/d', 'not a valid URL'],
    ['mysql://u:p4ssw0rd@h/d', 'must begin with postgres://'],
    ['p4ssw0rd', 'not a valid URL'],
    ['postgres://u:p4ssw0rd@h:port/d', 'not a valid URL'],
  ];
  for (const [url, part] of cases) {
    let message = '';
    try {
      loadConfig({ DATABASE_URL: url }, {}, '/nowhere');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message, url).toContain(part);
    expect(message, url).not.toMatch(/p4ss|w0rd/);
  }
});
