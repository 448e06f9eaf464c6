/**
 * `Calendly-Webhook-Signature: t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 with the signing key over `t`, a dot
 * and the raw bytes of the body. Pure; knows neither HTTP nor the content of the body.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Why a signature is rejected. `expired`: its time differs too much from ours. */
export type SignatureProblem = 'no_signature' | 'malformed_signature' | 'wrong_signature' | 'expired';

/** A header that may belong to a valid request. */
export interface Signature {
  /** Unix seconds, as they were signed. */
  time: string;
  mac: Buffer;
}

export interface SignatureTime {
  /** Max age, in ms. */
  toleranceMs: number;
  /** In ms since 1970. */
  now: number;
}

/** A shorter key can be guessed from one signed delivery. */
export const MIN_KEY_LENGTH = 16;

/** How far a signature's time may be in the future: clocks differ a little. */
const MAX_SKEW_MS = 300_000;

// Only the documented form: nothing else in the header is signed.
const HEADER = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

/** Reads a header and checks its time, which needs no body. */
export function readSignature(
  header: string | null,
  { toleranceMs, now }: SignatureTime,
): Signature | Exclude<SignatureProblem, 'wrong_signature'> {
  if (!header) return 'no_signature';
  const [, time = '', hex = ''] = HEADER.exec(header) ?? [];
  if (hex === '') return 'malformed_signature';
  const age = now - Number(time) * 1_000;
  if (age > toleranceMs || -age > Math.min(toleranceMs, MAX_SKEW_MS)) return 'expired';
  return { time, mac: Buffer.from(hex, 'hex') };
}

/** True if one of the keys signed these bytes. Compares in constant time. */
export function isSignedBy(
  { time, mac: given }: Signature,
  body: Uint8Array,
  keys: readonly string[],
): boolean {
  // All keys are compared: the time taken must not reveal which one matched.
  return keys.filter((key) => timingSafeEqual(mac(key, time, body), given)).length > 0;
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
