/** Which of the next requests go wrong, and how. Knows the socket and no endpoint. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ApiError, errorResponse, invalidArgument, staleToken } from './api-error.js';
import { randomOf } from './random.js';

/** Which requests a fault hits, and details of what it does to them. */
const settings = {
  /** How many requests it hits; null for no limit. */
  count: z.int().positive().nullable().default(1),
  /** A regular expression that path and query must match. */
  match: z.string().refine(isPattern, 'is not a regular expression').optional(),
  method: z.string().optional(),
  /** How many matching requests pass before the first hit. */
  after: z.int().nonnegative().default(0),
  /** The probability that a matching request is hit. */
  rate: z.number().min(0).max(1).default(1),
  status: z.int().min(200).max(599).default(500),
  /** Headers to add, by name. */
  headers: z.record(z.string(), z.string()).default({}),
  /** Leaves the rate-limit headers out. */
  bare: z.boolean().default(false),
  /** Replaces the usual body of the status: text as HTML, anything else as JSON. */
  body: z.unknown().optional(),
  ms: z.int().nonnegative().default(2_000),
  rows: z.int().positive().default(1),
  to: z.url().default('http://elsewhere.invalid'),
};

type Settings = z.output<z.ZodObject<typeof settings>>;

/** The request that a fault hits. */
interface FaultTarget {
  url: URL;
  outgoing: ServerResponse;
  /** The answer that would have been given. @param lagging as it was before the last change */
  answer(lagging?: boolean): Promise<Response>;
}

type Inject = (target: FaultTarget, settings: Settings) => Response | null | Promise<Response | null>;

interface Kind {
  summary: string;
  inject: Inject;
  /** Requests that can show it; any when absent. */
  applies: ((url: URL) => boolean) | undefined;
}

const kind = (summary: string, inject: Inject, applies?: Kind['applies']): Kind => {
  return { summary, inject, applies };
};

const LISTINGS = /^\/(scheduled_events(\/[^/]+\/invitees)?|event_types|organization_memberships)$/;

/** A fault of the pages of a listing. @param change may remove rows and returns what is new in `pagination` */
function onPages(
  summary: string,
  change: (rows: unknown[], target: FaultTarget, settings: Settings) => object,
): Kind {
  const inject: Inject = async (target, settings) => {
    const response = await target.answer();
    if (response.status !== 200) return response;
    const { collection, pagination } = (await response.json()) as {
      collection: unknown[];
      pagination: object;
    };
    const changed = change(collection, target, settings);
    return Response.json({ collection, pagination: { ...pagination, ...changed } });
  };
  return kind(summary, inject, ({ pathname }) => LISTINGS.test(pathname));
}

/** Every kind of fault: what it does in words, and how. */
export const FAULT_KINDS = {
  status: kind(
    'answers "status" with its usual body, or with "body"',
    (_target, { status, body, headers }) => {
      if (typeof body === 'string') return new Response(body, { status, headers: { ...HTML, ...headers } });
      return Response.json(body ?? new ApiError(status).body, { status, headers });
    },
  ),
  html: kind('answers 200 with an HTML page', () => {
    return new Response('<!doctype html><title>Just a moment…</title><h1>Checking</h1>', { headers: HTML });
  }),
  truncated: kind('answers the first half of the JSON as if it were complete', async ({ answer }) => {
    const { body, ...init } = await readWhole(answer());
    return new Response(body.subarray(0, body.length / 2), init);
  }),
  'other-shape': kind('answers JSON of another shape', () =>
    Response.json({ data: [{ id: 1 }], meta: { total: 1 } }),
  ),
  empty: kind('answers 200 without a body', () => new Response(null)),
  hang: kind('never answers', async ({ outgoing }) => {
    await new Promise((resolve) => outgoing.once('close', resolve));
    return null;
  }),
  slow: kind('sends the body in small pieces over "ms" milliseconds (2000)', async ({ answer }, { ms }) => {
    const { body, ...init } = await readWhole(answer());
    return new Response(inPieces(body, ms), init);
  }),
  reset: kind('resets the connection instead of answering', ({ outgoing }) => {
    outgoing.socket?.resetAndDestroy();
    return null;
  }),
  'reset-body': kind('resets the connection in the middle of the body', async ({ answer, outgoing }) => {
    const { body, status, headers } = await readWhole(answer());
    outgoing.writeHead(status, { ...headers, 'content-length': body.length });
    await new Promise((resolve) => outgoing.write(body.subarray(0, body.length / 2), resolve));
    // The half must leave before the reset, or the client would see no answer at all.
    await sleep(20, undefined, { ref: false });
    outgoing.socket?.resetAndDestroy();
    return null;
  }),
  redirect: kind('redirects to the same path at the origin "to"', ({ url }, { to }) => {
    return new Response(null, { status: 302, headers: { location: atOrigin(url, to) } });
  }),
  'next-page-elsewhere': onPages('links the next page at the origin "to"', (_rows, { url }, { to }) => {
    return { next_page: atOrigin(url, to) };
  }),
  'page-twice': onPages('links the page itself as the next page', (_rows, { url }) => ({
    next_page: url.href,
  })),
  'short-listing': onPages(
    'leaves the last "rows" rows of a page out (1), as if they did not exist',
    (collection, _target, { rows }) => {
      collection.splice(-rows);
      return { count: collection.length };
    },
  ),
  'stale-token': kind(
    'answers 400 to a page token, as if it had gone stale',
    () => errorResponse(staleToken()),
    ({ searchParams }) => searchParams.has('page_token'),
  ),
  'strict-times': kind(
    'answers 400 to a query time with three fraction digits',
    ({ url }) => errorResponse(invalidArgument(...threeDigitTimes(url))),
    (url) => threeDigitTimes(url).length > 0,
  ),
  lagging: kind('answers as if the last change had not happened yet', ({ answer }) => answer(true)),
};

type FaultKind = keyof typeof FAULT_KINDS;

export const faultFields = {
  kind: z.enum(Object.keys(FAULT_KINDS) as [FaultKind, ...FaultKind[]]),
  ...settings,
};

const faultSchema = z.strictObject(faultFields);
export type FaultInput = z.input<typeof faultSchema>;
type Fault = z.output<typeof faultSchema>;
/** A fault and how often it has hit. */
export interface Rule extends Fault {
  id: number;
  hits: number;
}

/** @param seed of the probability that `rate` is about */
export function createFaults(seed: number) {
  let rules: (Rule & { passed: number })[] = [];
  let added = 0;
  const random = randomOf(seed, 601);
  const isHit = (rule: (typeof rules)[number], method: string, url: URL): boolean => {
    if (rule.method && rule.method.toUpperCase() !== method) return false;
    if (rule.match && !new RegExp(rule.match).test(url.pathname + url.search)) return false;
    if (FAULT_KINDS[rule.kind].applies?.(url) === false) return false;
    return rule.passed++ >= rule.after && (rule.rate === 1 || random() < rule.rate);
  };
  return {
    add(fault: Fault): Rule {
      const rule = { ...fault, id: ++added, hits: 0, passed: 0 };
      rules.push(rule);
      return rule;
    },
    active: (): Rule[] => rules.map(({ passed: _passed, ...rule }) => rule),
    clear(): Rule[] {
      rules = [];
      return rules;
    },
    /** The fault that hits this request; undefined for none. */
    next(method: string, url: URL): Fault | undefined {
      const rule = rules.find((one) => isHit(one, method, url));
      if (rule && ++rule.hits === rule.count) rules = rules.filter((other) => other !== rule);
      return rule;
    },
  };
}

/** Answers the request as the fault demands; null when the connection was broken. */
export async function injectFault(fault: Fault, target: FaultTarget): Promise<Response | null> {
  return FAULT_KINDS[fault.kind].inject(target, fault);
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/** A complaint for each query parameter that is a time with three fraction digits. */
function threeDigitTimes(url: URL) {
  const refused = [...url.searchParams].filter(([, value]) => /T[\d:]+\.\d{3}Z$/.test(value));
  return refused.map(([parameter]) => ({ parameter, message: 'is not a valid UTC time' }));
}

const HTML = { 'content-type': 'text/html; charset=utf-8' };

const atOrigin = (url: URL, origin: string) => new URL(url.pathname + url.search, origin).href;

async function readWhole(answer: Promise<Response>) {
  const response = await answer;
  const headers = { 'content-type': 'application/json' };
  return { body: Buffer.from(await response.arrayBuffer()), status: response.status, headers };
}

function inPieces(body: Buffer, ms: number): ReadableStream {
  const pieces = 20;
  const size = Math.max(1, Math.ceil(body.length / pieces));
  const stop = new AbortController();
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(ms / pieces, undefined, { signal: stop.signal, ref: false });
      controller.enqueue(body.subarray(sent, sent + size));
      sent += size;
      if (sent >= body.length) controller.close();
    },
    cancel: () => stop.abort(),
  });
}
