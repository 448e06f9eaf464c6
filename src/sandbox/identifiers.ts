/**
 * Ids and resource URIs. The id of a generated event holds its number in a scrambled form, so that an event is found
 * from its URI without a table of a million ids. Pure.
 */
import { mix } from './random.js';

/** Resource URIs begin with this, whatever host the sandbox is asked under: they are names, not addresses. */
export const CANONICAL = 'https://api.calendly.com';

/** The URI of a resource, from its path segments. */
export function uriOf(...segments: string[]): string {
  return `${CANONICAL}/${segments.join('/')}`;
}

/** The last segment of a URI. */
export function idOf(uri: string): string {
  return uri.slice(uri.lastIndexOf('/') + 1);
}

/** A UUID (version 4 in form) that belongs to these numbers. */
export function uuidOf(...parts: number[]): string {
  return uuidFrom(mix(...parts, 1), mix(...parts, 2), mix(...parts, 3), mix(...parts, 4));
}

/** A 16-character upper-case id, as resources from Calendly's early years have it. */
export function shortIdOf(...parts: number[]): string {
  return base32(mix(...parts, 1), 7) + base32(mix(...parts, 2), 7) + base32(mix(...parts, 3), 2);
}

/** The id of event `number`: 16 characters for an old one, a UUID otherwise. */
export function eventIdOf(seed: number, number: number, old: boolean): string {
  const scrambled = scramble(seed, number);
  if (old) return base32(scrambled, 7) + base32(mix(seed, number, 2), 7) + base32(mix(seed, number, 3), 2);
  return uuidFrom(scrambled, mix(seed, number, 2), mix(seed, number, 3), mix(seed, number, 4));
}

/**
 * The number that an event id may stand for. Any text of the right form yields one: whether the id is real shows when
 * the id of that number is made again.
 */
export function eventNumberOf(seed: number, id: string): number | null {
  if (/^[0-9a-f]{8}-/.test(id)) return unscramble(seed, Number.parseInt(id.slice(0, 8), 16));
  if (!/^[A-Z2-7]{16}$/.test(id)) return null;
  let value = 0;
  for (const letter of id.slice(0, 7)) value = value * 32 + ALPHABET.indexOf(letter);
  return value > 0xffffffff ? null : unscramble(seed, value);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const FACTOR = 0x9e3779b1;
/** FACTOR × INVERSE = 1 modulo 2³². */
const INVERSE = 0x0e8b2f51;

function scramble(seed: number, value: number): number {
  return (Math.imul(value ^ mix(seed, 11), FACTOR) ^ mix(seed, 12)) >>> 0;
}

function unscramble(seed: number, value: number): number {
  return (Math.imul(value ^ mix(seed, 12), INVERSE) ^ mix(seed, 11)) >>> 0;
}

function base32(value: number, length: number): string {
  let rest = value;
  let text = '';
  for (let digit = 0; digit < length; digit++) {
    text = (ALPHABET[rest % 32] ?? '') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

function uuidFrom(a: number, b: number, c: number, d: number): string {
  const variant = '89ab'[c >>> 30];
  const [bHex, cHex] = [hex(b), hex(c)];
  return `${hex(a)}-${bHex.slice(0, 4)}-4${bHex.slice(5)}-${variant}${cHex.slice(1, 4)}-${cHex.slice(4)}${hex(d)}`;
}

/** Every byte as two hexadecimal digits: looking four up is far quicker than toString(16) on 32 bits. */
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hex(value: number): string {
  const byte = (shift: number) => BYTES[(value >>> shift) & 0xff] ?? '';
  return byte(24) + byte(16) + byte(8) + byte(0);
}
