/**
 * Parsers for the text of settings. Pure. Each throws an Error with a message that completes the sentence "NAME: …" and
 * contains no secret.
 */
import { MIN_KEY_LENGTH } from './calendly/signature.js';
import { parseConnectionUrl } from './database/connection-options.js';
import { parseDuration } from './duration.js';

/** The value of DATABASE_URL that asks for the embedded database. */
export const EMBEDDED = 'embedded';

export function parseDatabaseUrl(text: string): string {
  if (text === EMBEDDED) return text;
  parseConnectionUrl(text);
  return text;
}

export function parseSchema(text: string): string {
  if (text === '' || text.startsWith('pg_') || Buffer.byteLength(text) > 63) {
    throw new Error(`"${text}" is not a valid schema name`);
  }
  return text;
}

export function parseToken(text: string): string {
  // A header value may contain visible ASCII only; anything else would only be refused when it is sent.
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new Error(
    'contains spaces or characters that are not allowed in a token; paste it again on one line',
  );
}

export function parseBaseUrl(text: string): string {
  if (!URL.canParse(text)) throw new Error(`"${text}" is not a valid URL`);
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') throw new Error('must begin with https:// or http://');
  if (username || password) throw new Error('must not contain a user name or password');
  return text.replace(/\/+$/, '');
}

export function parseProxy(text: string): string {
  // Often written without the scheme.
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'http:' || protocol === 'https:') return url;
  throw new Error('is not a valid URL of a proxy; write http://host:port');
}

export function parseList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}

export function parseSigningKeys(text: string): string[] {
  const keys = parseList(text);
  if (keys.every((key) => key.length >= MIN_KEY_LENGTH)) return keys;
  throw new Error(
    `a key must have at least ${MIN_KEY_LENGTH} characters, and no comma, which separates keys`,
  );
}

/** How to create a key of `parseSyncKeys`. */
export const CREATE_SYNC_KEY = `node -p "require('crypto').randomBytes(32).toString('base64')"`;

export function parseSyncKeys(text: string): string[] {
  const keys = parseList(text);
  const isKey = (key: string) => /^[A-Za-z0-9+/]{43}=$/.test(key);
  if (keys.every(isKey)) return keys;
  throw new Error(`a key is 32 random bytes in base64; create one: ${CREATE_SYNC_KEY}`);
}

export function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new Error(`"${text}" is not a valid port`);
}

export function parsePositiveDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new Error(`"${text}" is not a valid duration; write 90s, 30m, 36h or 30d`);
}
