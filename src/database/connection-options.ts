/**
 * Connection URLs as hosting dashboards print them, with libpq's meaning, as options for postgres.js. Reads certificate
 * files. Knows no connection. Parameters that only another client knows are accepted and dropped: the server would
 * reject them.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type ConnectionOptions as TlsOptions } from 'node:tls';
import { CalendlySyncError } from '../errors.js';

type Parameters = ReadonlyMap<string, string>;

const SESSION_ATTRIBUTES = ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/**
 * Settings of the server that a URL may set, besides any with a dot in its name. TimeZone, DateStyle and
 * client_encoding are not among them: the tool sets its own.
 */
const SERVER_SETTINGS = new RegExp(
  '^(application_name|options|search_path|role|work_mem|synchronous_commit' +
    '|(statement|lock|transaction|idle_in_transaction_session|idle_session)_timeout' +
    '|default_transaction_(read_only|isolation|deferrable)|\\w+\\.\\w+)$',
);

/** libpq's environment variables, and the URL parameter that each stands for. */
const PG_VARIABLES = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGDATABASE: 'dbname',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGOPTIONS: 'options',
  PGAPPNAME: 'application_name',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
};

const URL_PARTS = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?@]*)(?:\/([^?@]*))?(?:\?(.*))?$/i;
const HOST_PARTS = /^(?:\[([\da-f:.%a-z]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/i;

/**
 * The URL's parts as parameters under libpq's names. A parameter after `?` wins over the part before it.
 * @throws Error with a message that completes the sentence "DATABASE_URL …" and does not contain the URL
 */
export function parseConnectionUrl(url: string): Map<string, string> {
  // A # starts a fragment, so the rest of the URL would be lost silently.
  if (url.includes('#')) throw new Error('contains an unescaped #; write it as %23');
  const [whole, userInfo = '', authority = '', database = '', query = ''] = URL_PARTS.exec(url) ?? [];
  const hosts = authority.split(',').map((host) => HOST_PARTS.exec(host));
  if (whole === undefined || hosts.includes(null)) {
    const otherScheme = /^(?!postgres(ql)?:)[a-z+]+:\/\//i.test(url);
    throw new Error(
      otherScheme
        ? 'must begin with postgres:// or postgresql://'
        : 'is not a valid URL; expected postgres://user:password@host:5432/name ' +
            '(write # in a password as %23, @ as %40, / as %2F)',
    );
  }
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(userInfo) ?? [];
  const all: [string, string][] = [
    ['user', decode(user)],
    ['password', decode(password)],
    ['host', hosts.map((host) => decode(host?.[1] ?? host?.[2] ?? '')).join(',')],
    ['port', hosts.map((host) => host?.[3] ?? '').join(',')],
    ['dbname', decode(database)],
    ...new URLSearchParams(query),
  ];
  const parameters = new Map(all.filter(([, value]) => value.replaceAll(',', '') !== ''));
  const mode = parameters.get('sslmode') ?? 'prefer';
  if (mode !== 'no-verify' && !SSL_MODES.includes(mode))
    throw new Error(`has an invalid sslmode "${mode}"; expected ${SSL_MODES.join(', ')}`);
  return parameters;
}

/** The URL, with the parts that it lacks taken from libpq's environment variables. @throws as parseConnectionUrl */
export function withPgVariables(url: string, read: (name: string) => string | undefined): string {
  const parameters = parseConnectionUrl(url);
  const added = new URLSearchParams();
  for (const [variable, name] of Object.entries(PG_VARIABLES)) {
    const value = read(variable);
    if (value && !parameters.has(name)) added.set(name, value);
  }
  if (added.size === 0) return url;
  return `${url}${url.includes('?') ? '&' : '?'}${added}`;
}

/**
 * The options of postgres.js that a URL decides, and a label without secrets.
 * @throws CalendlySyncError `settings` if the URL or a file that it names is invalid
 */
export function connectionOptions(url: string) {
  const parameters = parseOrThrow(url);
  const get = (name: string) => parameters.get(name) ?? '';
  const names = (get('host') || get('hostaddr') || 'localhost').split(',').map((host) => host || 'localhost');
  const host = get('hostaddr') === '' ? names : get('hostaddr').split(',');
  const ports = get('port').split(',');
  const port = host.map((_, index) => Number(ports[index] ?? ports[0]) || 5432);
  const path = names[0]?.startsWith('/') ? `${names[0]}/.s.PGSQL.${port[0]}` : null;
  const database = get('dbname') || get('user');
  const timeout = Number(get('connect_timeout'));
  const attributes = SESSION_ATTRIBUTES.find((name) => name === get('target_session_attrs'));
  const options = {
    // Arrays, because postgres.js splits a string at each `:` of an IPv6 address.
    host,
    port,
    // A Unix socket, instead of host and port.
    ...(path === null ? {} : { path }),
    // Empty: the user of the operating system.
    user: get('user'),
    pass: get('password'),
    database,
    ssl: path === null ? tlsOptions(parameters, names) : false,
    connection: Object.fromEntries([...parameters].filter(([name]) => SERVER_SETTINGS.test(name))),
    ...(timeout > 0 ? { connect_timeout: timeout } : {}),
    ...(attributes ? { target_session_attrs: attributes } : {}),
  };
  const servers = names.map(
    (name, index) => `${isIP(name) === 6 ? `[${name}]` : name}:${port[index] ?? port[0]}`,
  );
  return { options, label: `${path ?? servers.join(',')}/${database}` };
}

function parseOrThrow(url: string): Parameters {
  try {
    return parseConnectionUrl(url);
  } catch (error) {
    throw new CalendlySyncError('settings', `The database URL ${(error as Error).message}.`);
  }
}

/** What libpq does for each sslmode. */
function tlsOptions(parameters: Parameters, names: string[]): false | 'prefer' | TlsOptions {
  const mode = sslMode(parameters, names);
  const rootFile = parameters.get('sslrootcert');
  const ca = rootFile === 'system' ? undefined : readTlsFile('sslrootcert', rootFile);
  const cert = readTlsFile('sslcert', parameters.get('sslcert'));
  const key = readTlsFile('sslkey', parameters.get('sslkey'));
  const client = { cert, key, passphrase: parameters.get('sslpassword') };
  if (mode === 'disable') return false;
  if (mode === 'verify-full') {
    return { ...client, ca, checkServerIdentity: (name, found) => identityError(name, names, found) };
  }
  if (mode === 'verify-ca') return { ...client, ca, checkServerIdentity: () => undefined };
  if (mode !== 'require' && mode !== 'no-verify' && Object.values(client).every((value) => !value))
    return 'prefer';
  return { ...client, rejectUnauthorized: false };
}

/** Node's meanings of `ssl=`. */
const SSL_VALUES = new Map(
  Object.entries({ true: 'verify-full', 1: 'verify-full', false: 'disable', 0: 'disable' }),
);

/** `prefer` is the default for a server that is not on this machine. */
function sslMode(parameters: Parameters, names: string[]): string {
  const rootFile = parameters.get('sslrootcert');
  if (rootFile === 'system') return 'verify-full';
  const ssl = parameters.get('ssl');
  const given = parameters.get('sslmode') ?? (ssl === undefined ? ssl : (SSL_VALUES.get(ssl) ?? ssl));
  // As in libpq, `require` with a root certificate means verify-ca.
  if (rootFile !== undefined && (given === undefined || given === 'require')) return 'verify-ca';
  return given ?? (names.every(isLocal) ? 'disable' : 'prefer');
}

function isLocal(name: string): boolean {
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** postgres.js passes no server name for an IP address, so Node would check the certificate for "localhost". */
function identityError(name: string, names: string[], certificate: PeerCertificate): Error | undefined {
  if (names.includes(name)) return checkServerIdentity(name, certificate);
  const errors = names.map((host) => checkServerIdentity(host, certificate));
  return errors.includes(undefined) ? undefined : errors[0];
}

/** Reads the file that a parameter names, if it is given. */
function readTlsFile(parameter: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    const message = `${parameter}: cannot read ${path} (${(cause as NodeJS.ErrnoException).code}).`;
    const hint = `Correct ${parameter} in the database URL.`;
    throw new CalendlySyncError('settings', message, { hint, cause });
  }
}

/** Percent-decoded; unchanged if it is not valid percent-encoding, as in a password with a lone `%`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
