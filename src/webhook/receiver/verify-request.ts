/**
 * Who is let in: method, type, size, speed and signature of a request, in this order, before anything of its body is believed.
 * Knows HTTP and no database.
 */
import { type SignatureCheck, signatureProblem } from '../../calendly/signature.js';
import type { Rejection } from './log-lines.js';

export interface AdmissionOptions {
  keys: readonly string[];
  toleranceMs: number;
  /** What time it is, in ms since 1970. */
  now: () => number;
  /** How long a body may take to arrive, in ms. */
  bodyTimeoutMs: number;
}

/** The body of an authentic request, or why it is refused. */
export type Admission = { body: Uint8Array } | { refused: Rejection };

/** Calendly's bodies have a few thousand bytes. */
const LARGEST_BODY = 1_048_576;

/** The status that stands for each refusal. */
export const STATUS_OF: Readonly<Record<Rejection, number>> = {
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

/** Lets a request in or refuses it. */
export async function admit(request: Request, options: AdmissionOptions): Promise<Admission> {
  const { headers } = request;
  if (request.method !== 'POST') return { refused: 'wrong_method' };
  if (!/^application\/json\s*(;|$)/i.test(headers.get('content-type') ?? ''))
    return { refused: 'wrong_type' };
  const length = headers.get('content-length');
  if (length !== null && !(Number(length) <= LARGEST_BODY)) return { refused: 'too_large' };
  const header = headers.get('calendly-webhook-signature');
  const check = { header, keys: options.keys, toleranceMs: options.toleranceMs };
  // Without a readable signature there is no reason to read the body.
  const early = problemOf({ ...check, keys: [], body: new Uint8Array(), now: 0 });
  if (early !== 'wrong_signature') return { refused: early };
  const body = await readBody(request, length !== null, options.bodyTimeoutMs);
  if (!(body instanceof Uint8Array)) return { refused: body };
  const problem = signatureProblem({ ...check, body, now: options.now() });
  return problem === null ? { body } : { refused: problem };
}

function problemOf(check: SignatureCheck): Rejection {
  return signatureProblem(check) ?? 'wrong_signature';
}

async function readBody(
  request: Request,
  lengthKnown: boolean,
  timeoutMs: number,
): Promise<Uint8Array | 'too_large' | 'too_slow'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'too_slow'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'too_slow');
  });
  try {
    // Of a body whose length is known, no more than that arrives.
    const reading = lengthKnown ? readWhole(request) : readChunks(request);
    return await Promise.race([reading, late]);
  } catch {
    // The sender went away in the middle.
    return 'too_slow';
  } finally {
    clearTimeout(timer);
  }
}

async function readWhole(request: Request): Promise<Uint8Array | 'too_large'> {
  const body = new Uint8Array(await request.arrayBuffer());
  return body.byteLength <= LARGEST_BODY ? body : 'too_large';
}

async function readChunks(request: Request): Promise<Uint8Array | 'too_large'> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > LARGEST_BODY) return 'too_large';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
