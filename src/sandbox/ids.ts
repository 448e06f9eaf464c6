/** Ids and resource URIs, in both forms that Calendly has used. Pure. */
import { mix } from './random.js';

/** Resource URIs begin with this, whatever address the sandbox listens on: they are names, not addresses. */
export const CANONICAL = 'https://api.calendly.com';

/** The URI of a resource, from its path segments. */
export function uriOf(...segments: string[]): string {
  return `${CANONICAL}/${segments.join('/')}`;
}

/** The last segment of a URI. */
export function idOf(uri: string): string {
  return uri.slice(uri.lastIndexOf('/') + 1);
}

/** The UUID (version 4 in form) that belongs to these numbers. */
export function uuidOf(...parts: number[]): string {
  const [a = '', b = '', c = '', d = ''] = [1, 2, 3, 4].map((part) => hex(mix(...parts, part)));
  const variant = '89ab'[Number.parseInt(c.slice(0, 1), 16) >> 2];
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${d}`;
}

/** A 16-character upper-case id, as resources from Calendly's early years have it. */
export function shortIdOf(...parts: number[]): string {
  return base32(mix(...parts, 1), 7) + base32(mix(...parts, 2), 7) + base32(mix(...parts, 3), 2);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function base32(value: number, length: number): string {
  let rest = value;
  let text = '';
  for (let digit = 0; digit < length; digit++) {
    text = (ALPHABET[rest % 32] ?? '') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
