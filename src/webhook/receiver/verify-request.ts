/**
 * Verifies a request: method, content type, size, age, speed and signature, in this order, before any of its body is
 * believed. Knows HTTP and no database.
 */
import { isSignedBy, readSignature } from '../../calendly/signature.js';
import type { ByteBudget, Held } from './byte-budget.js';
import type { Incoming } from './exchange.js';
import type { Rejection } from './log-lines.js';

export interface VerifyOptions {
  keys: readonly string[];
  /** Max age of the signature, in ms. */
  toleranceMs: number;
  /** The current time, in ms since 1970. */
  now: () => number;
  /** How long a body may take to arrive, in ms. */
  bodyTimeoutMs: number;
  /** Counts the bytes of all bodies. */
  budget: ByteBudget;
}

/** The body of an authentic request, which stays counted until `held` is released; or why it is rejected. */
export type Verification = { body: Uint8Array; held: Held } | { rejected: Rejection };

/** Calendly's bodies have a few thousand bytes. */
const MAX_BODY_BYTES = 262_144;

/** The HTTP status of each rejection. */
export const REJECTION_STATUS: Readonly<Record<Rejection, number>> = {
  wrong_method: 405,
  wrong_type: 415,
  too_large: 413,
  too_slow: 408,
  no_signature: 401,
  malformed_signature: 401,
  wrong_signature: 401,
  expired: 401,
  invalid_json: 400,
  overloaded: 503,
};

/** Verifies a request and reads its body. */
export async function verifyRequest(incoming: Incoming, options: VerifyOptions): Promise<Verification> {
  if (incoming.method !== 'POST') return { rejected: 'wrong_method' };
  const type = incoming.header('content-type') ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type)) return { rejected: 'wrong_type' };
  const length = incoming.header('content-length');
  if (length !== null && !(Number(length) <= MAX_BODY_BYTES)) return { rejected: 'too_large' };
  const { keys, toleranceMs, bodyTimeoutMs, budget, now } = options;
  const header = incoming.header('calendly-webhook-signature');
  // A signature that cannot be valid: the body is not worth reading.
  const signature = readSignature(header, { toleranceMs, now: now() });
  if (typeof signature === 'string') return { rejected: signature };
  const read = await readBody(incoming, budget, bodyTimeoutMs);
  if ('rejected' in read) return read;
  if (isSignedBy(signature, read.body, keys)) {
    read.held.keep();
    return read;
  }
  read.held.release();
  return { rejected: 'wrong_signature' };
}

/** Reads a body into memory, within the limits of size, time and the budget. */
function readBody(incoming: Incoming, budget: ByteBudget, timeoutMs: number): Promise<Verification> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    let done = false;
    const timer = setTimeout(() => reject('too_slow'), timeoutMs);
    const held = budget.open(() => reject('overloaded'));

    function settle(result: Verification): void {
      if (done) return;
      done = true;
      clearTimeout(timer);
      resolve(result);
    }

    function reject(rejected: Rejection): void {
      held.release();
      chunks.length = 0;
      settle({ rejected });
    }

    function take(chunk: Uint8Array): boolean {
      size += chunk.byteLength;
      if (size > MAX_BODY_BYTES) reject('too_large');
      if (done || !held.add(chunk.byteLength)) return false;
      chunks.push(chunk);
      return true;
    }

    incoming.read(take).then(
      () => settle({ body: Buffer.concat(chunks), held }),
      // The sender has disconnected.
      () => reject('too_slow'),
    );
  });
}
