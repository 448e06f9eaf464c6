/**
 * Every setting of the tool, read and checked in one place: flag > environment > `.env` > default.
 * The only file that reads `process.env`. Knows no command and no connection; problems are told all at once.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { parseDuration } from './duration.js';
import { CalendlySyncError } from './errors.js';

/** Settings after checking. Secrets are plain strings here: whatever prints goes through the CLI's redaction. */
export interface Config {
  /** Postgres connection URL; null means the embedded database under `home`. */
  databaseUrl: string | null;
  /** Schema for the tool's own tables; null means the first one in the connection's search_path. */
  schema: string | null;
  /** Personal access token. */
  calendlyToken: string | null;
  /** Base of the Calendly API, no trailing slash. */
  calendlyApiUrl: string;
  /** Base of the OAuth host, no trailing slash. */
  calendlyAuthUrl: string;
  calendlyClientId: string | null;
  calendlyClientSecret: string | null;
  /** One or several keys, separated by commas while a key is being rotated. */
  webhookSigningKeys: string[];
  /** How old a delivery's timestamp may be, in ms. */
  webhookToleranceMs: number;
  /** Key that encrypts stored tokens. */
  syncKey: string | null;
  /** Absolute path of the folder for the embedded database and backups. */
  home: string;
}

/** The environment as a plain map, so that tests and the demo can bring their own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What flags may override. */
export interface ConfigFlags {
  databaseUrl?: string | undefined;
  schema?: string | undefined;
  envFile?: string | undefined;
}

/** Names and meanings of all settings, for the README, `--help` and the redaction of secrets. */
export const SETTINGS = [
  { name: 'DATABASE_URL', secret: true },
  { name: 'CALENDLY_SYNC_SCHEMA', secret: false },
  { name: 'CALENDLY_TOKEN', secret: true },
  { name: 'CALENDLY_API_URL', secret: false },
  { name: 'CALENDLY_AUTH_URL', secret: false },
  { name: 'CALENDLY_CLIENT_ID', secret: false },
  { name: 'CALENDLY_CLIENT_SECRET', secret: true },
  { name: 'CALENDLY_WEBHOOK_SIGNING_KEY', secret: true },
  { name: 'CALENDLY_WEBHOOK_TOLERANCE', secret: false },
  { name: 'CALENDLY_SYNC_KEY', secret: true },
  { name: 'CALENDLY_SYNC_HOME', secret: false },
] as const;

/** Scales the pauses between retries. Undocumented: tests of the built program must not wait for production pauses. */
export const retryPace = Number(process.env.CALENDLY_SYNC_TEST_PACE) || 1;

/** The process's own environment; the one place where it is touched. */
export function processEnvironment(): Environment {
  return process.env;
}

/**
 * Reads and checks all settings.
 * @param environment variables that are set (they win over the `.env` file)
 * @param cwd folder in which `.env` and relative paths are looked up
 * @throws CalendlySyncError `settings`, with every problem in one message
 */
export function loadConfig(environment: Environment, flags: ConfigFlags = {}, cwd = process.cwd()): Config {
  const file = readEnvFile(flags.envFile, cwd);
  return checked((name) => environment[name] ?? file[name], flags, cwd);
}

/** Every setting at its default, for what heeds none. */
export function defaultConfig(cwd = process.cwd()): Config {
  return checked(() => undefined, {}, cwd);
}

function checked(read: (name: string) => string | undefined, flags: ConfigFlags, cwd: string): Config {
  const get = (name: string): string | null => {
    const value = read(name);
    return value === undefined || value.trim() === '' ? null : value.trim();
  };
  const problems: string[] = [];

  const databaseUrl = flags.databaseUrl ?? get('DATABASE_URL');
  if (databaseUrl !== null) {
    const problem = databaseUrlProblem(databaseUrl);
    if (problem) problems.push(`${flags.databaseUrl ? '--database-url' : 'DATABASE_URL'}: ${problem}`);
  }
  const schema = flags.schema ?? get('CALENDLY_SYNC_SCHEMA');
  if (schema !== null && (schema === '' || schema.startsWith('pg_') || Buffer.byteLength(schema) > 63)) {
    const name = flags.schema === undefined ? 'CALENDLY_SYNC_SCHEMA' : '--schema';
    problems.push(`${name}: "${schema}" cannot be a schema's name`);
  }
  const token = get('CALENDLY_TOKEN');
  // A header value may hold visible ASCII only; anything else would surface as a puzzling error inside fetch.
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    problems.push('CALENDLY_TOKEN: holds blanks or characters that no token has; paste it again in one line');
  }
  const baseUrl = (name: string, fallback: string): string => {
    const value = get(name) ?? fallback;
    const problem = httpUrlProblem(value);
    if (problem) problems.push(`${name}: ${problem}`);
    return value.replace(/\/+$/, '');
  };
  const calendlyApiUrl = baseUrl('CALENDLY_API_URL', 'https://api.calendly.com');
  const calendlyAuthUrl = baseUrl('CALENDLY_AUTH_URL', 'https://auth.calendly.com');
  const tolerance = get('CALENDLY_WEBHOOK_TOLERANCE') ?? '24h';
  const toleranceMs = parseDuration(tolerance);
  if (toleranceMs === null || toleranceMs <= 0) {
    problems.push(`CALENDLY_WEBHOOK_TOLERANCE: "${tolerance}" is no duration; write 90s, 30m, 36h or 30d`);
  }
  if (problems.length > 0) {
    throw new CalendlySyncError('settings', problems.join('\n'), {
      hint: 'Settings come from flags, the environment and .env, in this order.',
    });
  }
  return {
    databaseUrl,
    schema,
    calendlyToken: token,
    calendlyApiUrl,
    calendlyAuthUrl,
    calendlyClientId: get('CALENDLY_CLIENT_ID'),
    calendlyClientSecret: get('CALENDLY_CLIENT_SECRET'),
    webhookSigningKeys: (get('CALENDLY_WEBHOOK_SIGNING_KEY') ?? '')
      .split(',')
      .map((key) => key.trim())
      .filter(Boolean),
    webhookToleranceMs: toleranceMs ?? 0,
    syncKey: get('CALENDLY_SYNC_KEY'),
    home: resolve(cwd, get('CALENDLY_SYNC_HOME') ?? '.calendly-sync'),
  };
}

/** Every secret value that the settings hold, and the password inside the database URL: nothing of it may be shown. */
export function secretsOf(config: Config): string[] {
  const secrets = [
    config.calendlyToken,
    config.calendlyClientSecret,
    config.syncKey,
    ...config.webhookSigningKeys,
    ...databasePasswords(config.databaseUrl),
  ];
  return secrets.filter((secret): secret is string => secret !== null && secret.length >= 4);
}

function readEnvFile(flag: string | undefined, cwd: string): Record<string, string> {
  const path = resolve(cwd, flag ?? '.env');
  if (flag === undefined && !existsSync(path)) return {};
  try {
    return parseDotenv(readFileSync(path));
  } catch (cause) {
    throw new CalendlySyncError('settings', `The settings file ${path} cannot be read: ${reason(cause)}`, {
      hint: 'Name another with --env-file FILE.',
      cause,
    });
  }
}

function databaseUrlProblem(text: string): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'is no URL; the form is postgres://user:password@host:5432/name (write # in a password as %23, @ as %40, / as %2F)';
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    return 'must begin with postgres:// or postgresql://';
  }
  // URL() takes an unescaped # for the start of a fragment, and the rest of the URL would silently be lost.
  if (url.hash !== '' || text.includes('#')) return 'holds an unescaped #; write it as %23';
  return null;
}

function httpUrlProblem(text: string): string | null {
  try {
    const { protocol, username, password } = new URL(text);
    if (protocol !== 'http:' && protocol !== 'https:') return 'must begin with https:// or http://';
    if (username || password) return 'must not hold a user name or password';
    return null;
  } catch {
    return `"${text}" is no URL`;
  }
}

function databasePasswords(url: string | null): string[] {
  if (url === null) return [];
  // Also without URL(): a URL that cannot be parsed is just the one that ends up in an error message.
  const raw = /^[a-z]+:\/\/[^:/@]*:(.*)@/i.exec(url)?.[1];
  if (!raw) return [];
  try {
    return [raw, decodeURIComponent(raw)];
  } catch {
    return [raw];
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
