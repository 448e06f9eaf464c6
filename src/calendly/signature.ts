/**
 * `Calendly-Webhook-Signature`: `t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 with the signing key over `t`, a dot and the
 * raw bytes of the body. Pure; knows neither HTTP nor what the body says.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Why a signature was not accepted. `expired`: it is right, and its time is too far from ours. */
export type SignatureProblem = 'no_signature' | 'malformed_signature' | 'wrong_signature' | 'expired';

export interface SignatureCheck {
  /** The header as it came; null when there was none. */
  header: string | null;
  /** The body's bytes as they came: JSON that was parsed and written again has other bytes. */
  body: Uint8Array;
  /** Any of these may have signed: while a key is being rotated there are two. */
  keys: readonly string[];
  /** How far `t` may be from `now`, either way, in ms. */
  toleranceMs: number;
  /** In ms since 1970. */
  now: number;
}

// Nothing but the published form: whatever else a header may say, nobody has signed it.
const HEADER = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

/** Null when one of the keys signed these bytes at an acceptable time, else what is wrong. Compares in constant time. */
export function signatureProblem({
  header,
  body,
  keys,
  toleranceMs,
  now,
}: SignatureCheck): SignatureProblem | null {
  if (header === null || header === '') return 'no_signature';
  const parts = HEADER.exec(header);
  if (!parts) return 'malformed_signature';
  const [, time = '', hex = ''] = parts;
  const given = Buffer.from(hex, 'hex');
  let right = false;
  for (const key of keys) {
    // No early end: how long it takes must not say which key came near.
    if (timingSafeEqual(mac(key, time, body), given)) right = true;
  }
  if (!right) return 'wrong_signature';
  return Math.abs(now - Number(time) * 1_000) <= toleranceMs ? null : 'expired';
}

/** The header for a body: what Calendly sends, for tests and for trying a receiver out. @param time seconds since 1970 */
export function signatureHeader(key: string, body: Uint8Array, time: number): string {
  return `t=${time},v1=${mac(key, String(time), body).toString('hex')}`;
}

/** What may be stored and shown of a signing key: enough to tell two keys apart, nothing to sign with. */
export function keyFingerprint(key: string): string {
  return createHash('sha256').update(`calendly-sync webhook key ${key}`).digest('hex').slice(0, 16);
}

function mac(key: string, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${time}.`).update(body).digest();
}
