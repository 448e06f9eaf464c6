/**
 * Verifies a request: method, content type, size, speed and signature, in this order, before any of its body is
 * believed. Knows HTTP and no database.
 */
import { signatureProblem } from '../../calendly/signature.js';
import { withDeadline } from './deadline.js';
import type { Rejection } from './log-lines.js';

export interface VerifyOptions {
  keys: readonly string[];
  /** Max difference between the time of the signature and ours, in ms. */
  toleranceMs: number;
  /** The current time, in ms since 1970. */
  now: () => number;
  /** How long a body may take to arrive, in ms. */
  bodyTimeoutMs: number;
}

/** The body of an authentic request, or why it is rejected. */
export type Verification = { body: Uint8Array } | { rejected: Rejection };

/** Calendly's bodies have a few thousand bytes. */
const MAX_BODY_BYTES = 1_048_576;

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
export async function verifyRequest(request: Request, options: VerifyOptions): Promise<Verification> {
  const { headers } = request;
  if (request.method !== 'POST') return { rejected: 'wrong_method' };
  if (!/^application\/json\s*(;|$)/i.test(headers.get('content-type') ?? ''))
    return { rejected: 'wrong_type' };
  const length = headers.get('content-length');
  if (length !== null && !(Number(length) <= MAX_BODY_BYTES)) return { rejected: 'too_large' };
  const { keys, toleranceMs, bodyTimeoutMs } = options;
  const signature = { header: headers.get('calendly-webhook-signature'), toleranceMs };
  // A header that no key could have written: the body is not worth reading.
  const early = signatureProblem({ ...signature, keys: [], body: new Uint8Array(), now: 0 });
  if (early !== null && early !== 'wrong_signature') return { rejected: early };
  // If the length is known, no more than that can arrive.
  const reading = length === null ? readChunks(request) : readWhole(request);
  // A read error means that the sender has disconnected.
  const body = await withDeadline(reading, bodyTimeoutMs, () => 'too_slow' as const).catch(
    () => 'too_slow' as const,
  );
  if (typeof body === 'string') return { rejected: body };
  const problem = signatureProblem({ ...signature, keys, body, now: options.now() });
  return problem === null ? { body } : { rejected: problem };
}

type Body = Uint8Array | 'too_large' | 'too_slow';

async function readWhole(request: Request): Promise<Body> {
  const body = new Uint8Array(await request.arrayBuffer());
  return body.byteLength <= MAX_BODY_BYTES ? body : 'too_large';
}

async function readChunks(request: Request): Promise<Body> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return 'too_large';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
