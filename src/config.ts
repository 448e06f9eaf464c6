/**
 * Every setting of the tool as one table: it drives parsing, the redaction of secrets, the help and the README's test.
 * A flag wins over the environment, the environment over `.env`, `.env` over the default.
 * The only file that reads `process.env`. Knows no command and no connection.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { withPgVariables } from './database/connection-options.js';
import { CalendlySyncError, messageOf } from './errors.js';
import { isMisspelling } from './misspelling.js';
import { DEFAULT_RESOURCES, parseResources } from './resources/names.js';
import {
  EMBEDDED,
  parseBaseUrl,
  parseDatabaseUrl,
  parseList,
  parsePort,
  parsePositiveDuration,
  parseProxy,
  parseSchema,
  parseSigningKeys,
  parseSyncKeys,
  parseToken,
} from './setting-parsers.js';

/** The environment as a plain map, so that tests and the demo can pass their own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What flags may override. */
export interface ConfigFlags {
  databaseUrl?: string | undefined;
  schema?: string | undefined;
  envFile?: string | undefined;
}

/** One row of the settings table. */
interface Setting<T> {
  /** Name of the environment variable. */
  name: string;
  /** Its flag, as commander writes it. */
  flag?: string;
  /** The name in lower case is read, too: other programs have established it. */
  anyCase?: true;
  /** What must never be printed: the whole value, or the password inside the URL. */
  secret?: 'value' | 'password';
  /** Text that is parsed if the setting is not set; without it the value is null. */
  default?: string;
  description: string;
  /** @throws Error with a message that completes the sentence "NAME: …" */
  parse(text: string, cwd: string): T;
}

const TABLE = {
  /** Postgres connection URL, or `embedded`; null means the embedded database under `home` if it exists. */
  databaseUrl: {
    name: 'DATABASE_URL',
    flag: '--database-url <url>',
    secret: 'password',
    description: 'Postgres to use; `embedded` creates one in CALENDLY_SYNC_HOME',
    parse: parseDatabaseUrl,
  },
  /** Null means the first schema in the connection's search_path. */
  schema: {
    name: 'CALENDLY_SYNC_SCHEMA',
    flag: '--schema <name>',
    description: "schema for the tool's own tables (default: the first of the search path)",
    parse: parseSchema,
  },
  calendlyToken: {
    name: 'CALENDLY_TOKEN',
    secret: 'value',
    description: 'personal access token',
    parse: parseToken,
  },
  /** Without a trailing slash. */
  calendlyApiUrl: {
    name: 'CALENDLY_API_URL',
    default: 'https://api.calendly.com',
    description: 'base URL of the Calendly API',
    parse: parseBaseUrl,
  },
  calendlyAuthUrl: {
    name: 'CALENDLY_AUTH_URL',
    default: 'https://auth.calendly.com',
    description: "base URL of Calendly's OAuth server",
    parse: parseBaseUrl,
  },
  calendlyClientId: {
    name: 'CALENDLY_CLIENT_ID',
    description: 'client id of your OAuth application',
    parse: parseToken,
  },
  calendlyClientSecret: {
    name: 'CALENDLY_CLIENT_SECRET',
    secret: 'value',
    description: 'its client secret; a native application has none',
    parse: parseToken,
  },
  syncKeys: {
    name: 'CALENDLY_SYNC_KEY',
    secret: 'value',
    default: '',
    description: 'key that encrypts stored tokens; several with a comma: the first encrypts, all decrypt',
    parse: parseSyncKeys,
  },
  httpsProxy: {
    name: 'HTTPS_PROXY',
    anyCase: true,
    secret: 'password',
    description: 'proxy to Calendly, http://user:password@host:port',
    parse: parseProxy,
  },
  httpProxy: {
    name: 'HTTP_PROXY',
    anyCase: true,
    secret: 'password',
    description: 'the same for a CALENDLY_API_URL without TLS',
    parse: parseProxy,
  },
  /** Names, which include their subdomains, with a port or without one, or `*`. */
  noProxy: {
    name: 'NO_PROXY',
    anyCase: true,
    default: '',
    description: 'hosts that are reached without a proxy, separated by commas',
    parse: parseList,
  },
  webhookSigningKeys: {
    name: 'CALENDLY_WEBHOOK_SIGNING_KEY',
    secret: 'value',
    default: '',
    description: 'webhook signing key; two, separated by a comma, during a rotation',
    parse: parseSigningKeys,
  },
  webhookToleranceMs: {
    name: 'CALENDLY_WEBHOOK_TOLERANCE',
    default: '24h',
    description: 'max age of a webhook signature',
    parse: parsePositiveDuration,
  },
  resources: {
    name: 'CALENDLY_SYNC_RESOURCES',
    default: DEFAULT_RESOURCES,
    description:
      'what to read beside meetings: daily, hourly, off, or names after a comma, such as daily,members',
    parse: parseResources,
  },
  pingUrl: {
    name: 'CALENDLY_SYNC_PING_URL',
    secret: 'value',
    description: '`health` requests it after a healthy report, and URL/fail after others',
    parse: parseBaseUrl,
  },
  port: {
    name: 'PORT',
    description: 'port of `webhook serve` (default: 8787)',
    parse: parsePort,
  },
  home: {
    name: 'CALENDLY_SYNC_HOME',
    default: '.calendly-sync',
    description: 'folder for the embedded database and backups',
    parse: (text: string, cwd: string) => resolve(cwd, text),
  },
} satisfies Record<string, Setting<unknown>>;

type Table = typeof TABLE;

/** Settings after parsing. Secrets are plain strings here: everything printed goes through the CLI's redaction. */
export type Config = {
  [K in keyof Table]: ReturnType<Table[K]['parse']> | (Table[K] extends { default: string } ? never : null);
};

/** All settings. */
export const SETTINGS: Readonly<Record<keyof Config, Setting<unknown>>> = TABLE;
const KEYS = Object.keys(SETTINGS) as (keyof Config)[];

/** Scales the pauses between retries. Undocumented: tests of the built program must not wait for production pauses. */
export const retryPace = Number(process.env.CALENDLY_SYNC_TEST_PACE) || 1;

/** The process's own environment; the one place where it is read. */
export function processEnvironment(): Environment {
  return process.env;
}

/**
 * Reads and checks all settings.
 * @param environment variables that win over the `.env` file
 * @param cwd folder in which `.env` and relative paths are looked up
 * @throws CalendlySyncError `settings`, with every problem in one message and the source of each value in the hint
 */
export function loadConfig(environment: Environment, flags: ConfigFlags = {}, cwd = process.cwd()): Config {
  const { read, envFile } = settingsReader(environment, flags, cwd);
  refuseMisspellings([...Object.keys(environment), ...Object.keys(envFile.values)], read);
  const config = parseSettings(cwd, read);
  const { databaseUrl: url } = config;
  const variable = (name: string) => environment[name] ?? envFile.values[name];
  return { ...config, databaseUrl: url === null || url === EMBEDDED ? url : withPgVariables(url, variable) };
}

/** One setting, for people: a secret is masked. */
export interface DescribedSetting {
  name: string;
  /** Null if it is not set and has no default. */
  value: string | null;
  source: Source | 'default';
  /** The settings file, if it stands there. */
  file: string | null;
  description: string;
}

/** All settings with their sources. @throws CalendlySyncError `settings` if the file cannot be read */
export function describeSettings(
  environment: Environment,
  flags: ConfigFlags,
  cwd: string,
): DescribedSetting[] {
  const { read, envFile } = settingsReader(environment, flags, cwd);
  return KEYS.map((key) => {
    const setting = SETTINGS[key];
    const given = read(setting, key);
    const text = given?.text ?? (setting.default || null);
    const source = given?.source ?? 'default';
    const value = text === null ? null : key === 'home' ? resolve(cwd, text) : masked(text, setting.secret);
    const { name, description } = setting;
    return { name, value, source, file: source === 'file' ? envFile.path : null, description };
  });
}

function masked(text: string, secret: Setting<unknown>['secret']): string {
  if (secret === 'value') return `**** (${text.length} characters)`;
  return secret === 'password'
    ? passwordsOf(text).reduce((url, part) => url.replaceAll(part, '****'), text)
    : text;
}

/** Every setting at its default, for commands that need no settings. */
export function defaultConfig(cwd = process.cwd()): Config {
  return parseSettings(cwd, () => null);
}

type Source = 'flag' | 'environment' | 'file';

/** Reads the text of a setting, and where it stands. */
type ReadSetting = (
  setting: Setting<unknown>,
  key: keyof Config,
) => { text: string; source: Source; where: string } | null;

function settingsReader(environment: Environment, flags: ConfigFlags, cwd: string) {
  const envFile = readEnvFile(flags.envFile, cwd);
  const read: ReadSetting = ({ name, anyCase }, key) => {
    const flag = key === 'databaseUrl' || key === 'schema' ? flags[key] : undefined;
    if (flag !== undefined) return { text: flag, source: 'flag', where: 'on the command line' };
    const valueIn = (values: Environment) =>
      values[name]?.trim() || (anyCase && values[name.toLowerCase()]?.trim());
    const set = valueIn(environment);
    if (set) return { text: set, source: 'environment', where: 'in the environment' };
    const inFile = valueIn(envFile.values);
    return inFile ? { text: inFile, source: 'file', where: `in ${envFile.path}` } : null;
  };
  return { read, envFile };
}

/** With a misspelled DATABASE_URL everything would silently go to the embedded database. */
function refuseMisspellings(names: string[], read: ReadSetting): void {
  const known = KEYS.map((key) => SETTINGS[key].name);
  for (const key of KEYS) {
    const setting = SETTINGS[key];
    // Proxy variables belong to everybody.
    if (setting.anyCase) continue;
    const wrong = names.find((name) => !known.includes(name) && isMisspelling(name, setting.name));
    if (wrong === undefined || read(setting, key) !== null) continue;
    const message = `${wrong} is not a setting; ${setting.name} is, and is not set.`;
    throw new CalendlySyncError('settings', message, {
      hint: `Rename ${wrong} to ${setting.name}, or remove it.`,
    });
  }
}

function parseSettings(cwd: string, read: ReadSetting): Config {
  const problems: string[] = [];
  const sources: string[] = [];
  const entries = KEYS.map((key) => {
    const setting = SETTINGS[key];
    const given = read(setting, key);
    const text = given?.text ?? setting.default;
    try {
      return [key, text === undefined ? null : setting.parse(text, cwd)];
    } catch (error) {
      const [flag = ''] = setting.flag?.split(' ') ?? [];
      const label = given?.source === 'flag' ? flag : setting.name;
      problems.push(`${label}: ${messageOf(error)}`);
      sources.push(`${label} is set ${given?.where}.`);
      return [key, null];
    }
  });
  if (problems.length > 0) {
    throw new CalendlySyncError('settings', problems.join('\n'), { hint: sources.join('\n') });
  }
  return Object.fromEntries(entries) as Config;
}

/** Every secret value in the settings, and the password in the database URL. */
export function secretsOf(config: Config): string[] {
  return KEYS.flatMap((key) => {
    const { secret } = SETTINGS[key];
    const values = [config[key]].flat().filter((value) => typeof value === 'string');
    if (secret === 'password') return values.flatMap(passwordsOf);
    return secret === 'value' ? values : [];
  }).filter((secret) => secret.length >= 4);
}

function readEnvFile(flag: string | undefined, cwd: string) {
  const path = resolve(cwd, flag ?? '.env');
  if (flag === undefined && !existsSync(path)) return { path, values: {} };
  try {
    return { path, values: parseDotenv(readFileSync(path)) as Record<string, string> };
  } catch (cause) {
    throw new CalendlySyncError('settings', `Cannot read the settings file ${path}: ${messageOf(cause)}`, {
      hint: 'Name another one with --env-file FILE.',
      cause,
    });
  }
}

function passwordsOf(url: string): string[] {
  // Not with URL(): a URL that cannot be parsed is the one that ends up in an error message.
  const inAuthority = /^[a-z]+:\/\/[^:/@]*:(.*)@/i.exec(url)?.[1] ?? '';
  const inQuery = [...url.matchAll(/[?&](?:ssl)?password=([^&]*)/g)].map(([, text = '']) =>
    text.replaceAll('+', ' '),
  );
  return [inAuthority, ...inQuery].flatMap((raw) => {
    try {
      return [raw, decodeURIComponent(raw)];
    } catch {
      return [raw];
    }
  });
}
