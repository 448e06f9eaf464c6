/**
 * `Calendly-Webhook-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 with the signing key over `t`, a dot
 * and the raw bytes of the body. Pure; knows neither HTTP nor the content of the body.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Why a signature is rejected. `expired`: it is valid, but its time is too far from ours. */
export type SignatureProblem = 'no_signature' | 'malformed_signature' | 'wrong_signature' | 'expired';

export interface SignatureCheck {
  /** The header as received; null if there was none. */
  header: string | null;
  /** The body's bytes as received: parsing JSON and writing it again changes them. */
  body: Uint8Array;
  /** Any of these may have signed: there are two while a key is being rotated. */
  keys: readonly string[];
  /** How far `t` may be from `now`, either way, in ms. */
  toleranceMs: number;
  /** In ms since 1970. */
  now: number;
}

// Only the documented form: nothing else in the header is signed.
const HEADER = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

/** Null if one of the keys signed these bytes at an acceptable time, else the problem. Compares in constant time. */
export function signatureProblem(check: SignatureCheck): SignatureProblem | null {
  const { header, body, keys, toleranceMs, now } = check;
  if (!header) return 'no_signature';
  const [, time = '', hex = ''] = HEADER.exec(header) ?? [];
  if (hex === '') return 'malformed_signature';
  const given = Buffer.from(hex, 'hex');
  // All keys are compared: the time taken must not reveal which one matched.
  const matching = keys.filter((key) => timingSafeEqual(mac(key, time, body), given));
  if (matching.length === 0) return 'wrong_signature';
  return Math.abs(now - Number(time) * 1_000) <= toleranceMs ? null : 'expired';
}

/** The header that Calendly sends with a body; for tests and for trying a receiver. @param time seconds since 1970 */
export function signatureHeader(key: string, body: Uint8Array, time: number): string {
  return `t=${time},v1=${mac(key, String(time), body).toString('hex')}`;
}

/** The part of a signing key that may be stored and shown: it identifies the key and cannot sign. */
export function keyFingerprint(key: string): string {
  return createHash('sha256').update(`calendly-sync webhook key ${key}`).digest('hex').slice(0, 16);
}

function mac(key: string, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${time}.`).update(body).digest();
}
