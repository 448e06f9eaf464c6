/**
 * Encrypts stored tokens with CALENDLY_SYNC_KEY: AES-256-GCM with a subkey per account, because random IVs of one key
 * would run out. A value opens only in the row and the column that it was sealed for. Knows no database.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { CalendlySyncError } from '../errors.js';
import { CREATE_SYNC_KEY } from '../setting-parsers.js';

/** Where a sealed value belongs. */
export interface SealedPlace {
  field: 'access' | 'refresh';
  /** The Calendly user's URI. */
  calendlyUri: string;
}

// version (1 byte) | key id (4) | iv (12) | ciphertext | tag (16)
const VERSION = 1;
const HEADER_BYTES = 5;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Names a key without revealing it: the start of its sha256. */
export function keyIdOf(key: string): Buffer {
  return createHash('sha256').update(Buffer.from(key, 'base64')).digest().subarray(0, 4);
}

/**
 * The key that seals: the first one.
 * @throws CalendlySyncError `settings` without a key
 */
export function sealingKey(keys: readonly string[]): string {
  const [key] = keys;
  if (key !== undefined) return key;
  throw new CalendlySyncError('settings', 'CALENDLY_SYNC_KEY is not set: tokens are only stored encrypted.', {
    hint: `Create a key, and put CALENDLY_SYNC_KEY=… into .env or the environment:\n${CREATE_SYNC_KEY}`,
  });
}

/** Encrypts a token with the first key. @throws CalendlySyncError `settings` without a key */
export function seal(keys: readonly string[], place: SealedPlace, token: string): Buffer {
  const key = sealingKey(keys);
  const header = Buffer.concat([Buffer.from([VERSION]), keyIdOf(key)]);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', subkey(key, place), iv).setAAD(placeBytes(place));
  return Buffer.concat([header, iv, cipher.update(token, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

/**
 * Decrypts a token.
 * @throws CalendlySyncError `settings` if its key is not among `keys`, `failed` if the value was changed or moved
 */
export function open(keys: readonly string[], place: SealedPlace, sealed: Buffer): string {
  const id = sealed.subarray(1, HEADER_BYTES);
  const key = keys.find((one) => keyIdOf(one).equals(id));
  if (sealed[0] !== VERSION || sealed.length < HEADER_BYTES + IV_BYTES + TAG_BYTES) throw unreadable(place);
  if (key === undefined) {
    sealingKey(keys);
    throw new CalendlySyncError(
      'settings',
      `A stored token is encrypted with the key ${id.toString('hex')}, which CALENDLY_SYNC_KEY does not contain.`,
      { hint: 'Add that key behind the current one, with a comma: CALENDLY_SYNC_KEY=NEW,OLD' },
    );
  }
  const body = sealed.subarray(HEADER_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', subkey(key, place), body.subarray(0, IV_BYTES))
    .setAAD(placeBytes(place))
    .setAuthTag(body.subarray(-TAG_BYTES));
  try {
    return decipher.update(body.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    throw unreadable(place);
  }
}

function subkey(key: string, { calendlyUri }: SealedPlace): Buffer {
  const info = `calendly-sync/token/1|${calendlyUri}`;
  return Buffer.from(hkdfSync('sha256', Buffer.from(key, 'base64'), '', info, 32));
}

function placeBytes({ field, calendlyUri }: SealedPlace): Buffer {
  return Buffer.from(`${field}|${calendlyUri}`);
}

function unreadable({ field, calendlyUri }: SealedPlace): CalendlySyncError {
  return new CalendlySyncError(
    'failed',
    `The stored ${field} token of ${calendlyUri} was changed or moved.`,
    {
      hint: 'Connect the account again: calendly-sync account connect',
    },
  );
}
