/**
 * Connection URLs as hosting dashboards print them, with libpq's meaning, as options for postgres.js. Reads certificate
 * files. Knows no connection. Parameters that only another client knows are accepted and dropped: the server would
 * reject them.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type ConnectionOptions as TlsOptions } from 'node:tls';
import { CalendlySyncError } from '../errors.js';

/** The options of postgres.js that a URL decides. */
export interface ConnectionOptions {
  /** Arrays, because postgres.js splits a string at each `:` of an IPv6 address. */
  host: string[];
  port: number[];
  /** A Unix socket, instead of host and port. */
  path?: string;
  /** Empty: the user of the operating system. */
  user: string;
  pass: string;
  database: string;
  ssl: false | 'prefer' | TlsOptions;
  /** Parameters for the server. */
  connection: Record<string, string>;
  /** In seconds. */
  connect_timeout?: number;
  target_session_attrs?: SessionAttributes;
}

type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

const SESSION_ATTRIBUTES = ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/**
 * Settings of the server that a URL may set. TimeZone, DateStyle and client_encoding are not among them: the tool sets
 * its own.
 */
const SERVER_PARAMETERS = new Set([
  'application_name',
  'options',
  'search_path',
  'role',
  'statement_timeout',
  'lock_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'default_transaction_read_only',
  'default_transaction_isolation',
  'default_transaction_deferrable',
  'work_mem',
  'synchronous_commit',
]);

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
  const [, userInfo = '', authority = '', database = '', query = ''] = URL_PARTS.exec(url) ?? [];
  const hosts = authority.split(',').map((host) => HOST_PARTS.exec(host));
  if (!URL_PARTS.test(url) || hosts.includes(null)) {
    if (/^(?!postgres(ql)?:)[a-z+]+:\/\//i.test(url))
      throw new Error('must begin with postgres:// or postgresql://');
    throw new Error(
      'is not a valid URL; expected postgres://user:password@host:5432/name ' +
        '(write # in a password as %23, @ as %40, / as %2F)',
    );
  }
  const colon = userInfo.includes(':') ? userInfo.indexOf(':') : userInfo.length;
  const all: [string, string][] = [
    ['user', decode(userInfo.slice(0, colon))],
    ['password', decode(userInfo.slice(colon + 1))],
    ['host', hosts.map((host) => decode(host?.[1] ?? host?.[2] ?? '')).join(',')],
    ['port', hosts.map((host) => host?.[3] ?? '').join(',')],
    ['dbname', decode(database)],
    ...new URLSearchParams(query),
  ];
  const parameters = new Map(all.filter(([, value]) => value.replaceAll(',', '') !== ''));
  const mode = parameters.get('sslmode');
  if (mode !== undefined && mode !== 'no-verify' && !SSL_MODES.includes(mode)) {
    throw new Error(`has an invalid sslmode "${mode}"; expected ${SSL_MODES.join(', ')}`);
  }
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
 * Translates a URL.
 * @returns the options, and a label without secrets
 * @throws CalendlySyncError `settings` if the URL or a file that it names is invalid
 */
export function connectionOptions(url: string): { options: ConnectionOptions; label: string } {
  const parameters = parseOrThrow(url);
  const get = (name: string) => parameters.get(name) ?? '';
  const names = (get('host') || get('hostaddr') || 'localhost').split(',').map((host) => host || 'localhost');
  const addresses = get('hostaddr') === '' ? names : get('hostaddr').split(',');
  const ports = get('port').split(',');
  const port = addresses.map((_, index) => Number(ports[index] ?? ports[0]) || 5432);
  const socket = names[0]?.startsWith('/') ? `${names[0]}/.s.PGSQL.${port[0]}` : null;
  const database = get('dbname') || get('user');
  const timeout = Number(get('connect_timeout'));
  const attributes = SESSION_ATTRIBUTES.find((name) => name === get('target_session_attrs'));
  const sent = [...parameters].filter(([name]) => SERVER_PARAMETERS.has(name) || /^\w+\.\w+$/.test(name));
  const options = {
    host: addresses,
    port,
    ...(socket === null ? {} : { path: socket }),
    user: get('user'),
    pass: get('password'),
    database,
    ssl: socket === null ? tlsOptions(parameters, names) : (false as const),
    connection: Object.fromEntries(sent),
    ...(timeout > 0 ? { connect_timeout: timeout } : {}),
    ...(attributes ? { target_session_attrs: attributes } : {}),
  };
  const places = names.map(
    (name, index) => `${isIP(name) === 6 ? `[${name}]` : name}:${port[index] ?? port[0]}`,
  );
  return { options, label: `${socket ?? places.join(',')}/${database}` };
}

function parseOrThrow(url: string): Map<string, string> {
  try {
    return parseConnectionUrl(url);
  } catch (error) {
    throw new CalendlySyncError('settings', `The database URL ${(error as Error).message}.`);
  }
}

/** What libpq does for each sslmode. `prefer` is the default for a server that is not on this machine. */
function tlsOptions(parameters: Map<string, string>, names: string[]): ConnectionOptions['ssl'] {
  const rootFile = parameters.get('sslrootcert');
  const read = (name: string) => readSslFile(name, parameters.get(name));
  const ca = rootFile === 'system' ? {} : read('sslrootcert');
  const client = { ...read('sslcert'), ...read('sslkey'), ...passphraseOf(parameters) };
  const mode = sslMode(parameters, names);
  if (mode === 'disable') return false;
  if (mode === 'verify-full') {
    return { ...ca, ...client, checkServerIdentity: (name, cert) => identityError(name, names, cert) };
  }
  if (mode === 'verify-ca') return { ...ca, ...client, checkServerIdentity: () => undefined };
  if (mode === 'require' || Object.keys(client).length > 0) return { ...client, rejectUnauthorized: false };
  return 'prefer';
}

function sslMode(parameters: Map<string, string>, names: string[]): string {
  const rootFile = parameters.get('sslrootcert');
  if (rootFile === 'system') return 'verify-full';
  const ssl = parameters.get('ssl');
  const given =
    parameters.get('sslmode') ??
    { true: 'verify-full', '1': 'verify-full', false: 'disable', '0': 'disable' }[ssl ?? ''] ??
    ssl;
  // As in libpq, `require` with a root certificate means verify-ca.
  if (rootFile !== undefined && (given === undefined || given === 'require')) return 'verify-ca';
  if (given === 'no-verify') return 'require';
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

const TLS_KEYS: Record<string, keyof TlsOptions> = { sslrootcert: 'ca', sslcert: 'cert', sslkey: 'key' };

function readSslFile(name: string, path: string | undefined): TlsOptions {
  if (path === undefined) return {};
  try {
    return { [TLS_KEYS[name] ?? 'ca']: readFileSync(path) };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CalendlySyncError('settings', `${name}: cannot read ${path} (${code}).`, {
      hint: `Correct ${name} in the database URL.`,
      cause,
    });
  }
}

function passphraseOf(parameters: Map<string, string>): TlsOptions {
  const passphrase = parameters.get('sslpassword');
  return passphrase === undefined ? {} : { passphrase };
}

/** Percent-decoded; unchanged if it is not valid percent-encoding, as in a password with a lone `%`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
