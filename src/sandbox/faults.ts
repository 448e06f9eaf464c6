/** Which of the next requests go wrong, and how: one table of faults. Knows the socket and no endpoint. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ApiError, errorResponse, invalidArgument } from './api-error.js';
import type { Meetings } from './meetings.js';
import type { Random } from './random.js';

const settings = {
  /** How many requests it hits; null for no limit. */
  count: z.int().positive().nullable().default(1),
  /** What path and query must contain. */
  match: z.string().default(''),
  /** How many matching requests pass before the first hit. */
  after: z.int().nonnegative().default(0),
  /** The probability that a matching request is hit. */
  rate: z.number().min(0).max(1).default(1),
  status: z.int().min(200).max(599).default(500),
  headers: z.record(z.string(), z.string()).default({}),
  /** Replaces the usual body of the status: text as HTML, anything else as JSON. */
  body: z.unknown().optional(),
  rows: z.int().positive().default(1),
  to: z.url().default('http://elsewhere.invalid'),
};
type Settings = z.output<z.ZodObject<typeof settings>>;

/** The request that a fault hits. */
interface Target {
  url: URL;
  outgoing: ServerResponse;
  /** The answer that would have been given. @param meetings what it sees; those of now by default */
  answer(meetings?: Meetings): Promise<Response>;
  /** The meetings when the fault was requested; only for `lagging`. */
  before?: Meetings | undefined;
}

/** null when the connection was broken. */
type Effect = (target: Target, settings: Settings) => Response | null | Promise<Response | null>;

/** @param where what path and query of a request must match so that it can show the fault */
const fault = (summary: string, effect: Effect, where = /^/) => ({ summary, effect, where });

const LISTING = /^\/(scheduled_events(\/[^/]+\/invitees)?|event_types|organization_memberships)(\?|$)/;
const THREE_DIGITS = /[?&](\w+_time)=[^&]+\.\d{3}Z(&|$)/;

/** Every kind of fault. */
export const FAULT_KINDS = {
  status: fault('answers "status" with its usual body, or with "body": HTML or JSON', (_target, settings) => {
    const { status, headers, body = new ApiError(status).body } = settings;
    if (typeof body !== 'string') return Response.json(body, { status, headers });
    return new Response(body, {
      status,
      headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
    });
  }),
  truncated: fault('answers the first half of the JSON as if it were complete', async ({ answer }) => {
    const { body, ...init } = await readWhole(answer());
    return new Response(body.subarray(0, body.length / 2), init);
  }),
  hang: fault('never answers', stopping('before', 'hang')),
  'hang-body': fault('stops in the middle of the body', stopping('within', 'hang')),
  reset: fault('resets the connection instead of answering', stopping('before', 'reset')),
  'reset-body': fault('resets the connection in the middle of the body', stopping('within', 'reset')),
  'next-page-elsewhere': pageFault('links the next page at the origin "to"', (_rows, url, { to }) => {
    return { next_page: new URL(url.pathname + url.search, to).href };
  }),
  'page-twice': pageFault('links the page as its next page', (_rows, url) => ({ next_page: url.href })),
  'short-listing': pageFault('leaves the last "rows" rows of a page out (1)', (page, _url, { rows }) => {
    return { count: page.length - page.splice(-rows).length };
  }),
  'strict-times': fault(
    'answers 400 to a query time with three fraction digits',
    ({ url }) => {
      const parameter = THREE_DIGITS.exec(url.search)?.[1] ?? '';
      return errorResponse(invalidArgument({ parameter, message: 'is not a valid UTC time' }));
    },
    THREE_DIGITS,
  ),
  lagging: fault('answers as if nothing had changed since this fault was requested', ({ answer, before }) =>
    answer(before),
  ),
};

type FaultKind = keyof typeof FAULT_KINDS;

export const faultFields = {
  kind: z.enum(Object.keys(FAULT_KINDS) as [FaultKind, ...FaultKind[]]),
  ...settings,
};
export type FaultInput = z.input<z.ZodObject<typeof faultFields>>;
type Fault = z.output<z.ZodObject<typeof faultFields>>;

/** A fault that was requested, and what it has done so far. */
export interface Rule extends Fault {
  before: Meetings | undefined;
  passed: number;
  hits: number;
}

/** @param random decides for faults with a `rate` */
export function createFaults(random: Random) {
  let rules: Rule[] = [];
  const isHit = (rule: Rule, target: string): boolean => {
    if (!FAULT_KINDS[rule.kind].where.test(target) || !target.includes(rule.match)) return false;
    return rule.passed++ >= rule.after && (rule.rate === 1 || random() < rule.rate);
  };
  return {
    add(fault: Fault, meetings: Meetings): void {
      const before = fault.kind === 'lagging' ? meetings.copy() : undefined;
      rules.push({ ...fault, before, passed: 0, hits: 0 });
    },
    clear(): void {
      rules = [];
    },
    /** The fault that hits this request; undefined for none. */
    next({ pathname, search }: URL): Rule | undefined {
      const rule = rules.find((one) => isHit(one, pathname + search));
      if (rule && ++rule.hits === rule.count) rules = rules.filter((other) => other !== rule);
      return rule;
    },
  };
}

/** Answers the request as the fault demands; null when the connection was broken. */
export async function injectFault(rule: Rule, target: Omit<Target, 'before'>): Promise<Response | null> {
  return FAULT_KINDS[rule.kind].effect({ ...target, before: rule.before }, rule);
}

/** A fault of a page of a listing. @param change may remove rows and returns what is new in `pagination` */
function pageFault(summary: string, change: (rows: unknown[], url: URL, settings: Settings) => object) {
  const effect: Effect = async ({ url, answer }, settings) => {
    const response = await answer();
    if (response.status !== 200) return response;
    const page = (await response.json()) as { collection: unknown[]; pagination: object };
    Object.assign(page.pagination, change(page.collection, url, settings));
    return Response.json(page);
  };
  return fault(summary, effect, LISTING);
}

async function readWhole(answer: Promise<Response>) {
  const response = await answer;
  const headers = { 'content-type': 'application/json' };
  return { body: Buffer.from(await response.arrayBuffer()), status: response.status, headers };
}

/** Sends nothing, or half of the answer; then nothing more, or a reset. */
function stopping(where: 'before' | 'within', how: 'hang' | 'reset'): Effect {
  return async ({ answer, outgoing }) => {
    if (where === 'within') {
      const { body, status, headers } = await readWhole(answer());
      outgoing.writeHead(status, { ...headers, 'content-length': body.length });
      await new Promise((resolve) => outgoing.write(body.subarray(0, body.length / 2), resolve));
      // The half must leave before the reset, or the client would see no answer at all.
      await sleep(20, undefined, { ref: false });
    }
    if (how === 'reset') outgoing.socket?.resetAndDestroy();
    else await new Promise((resolve) => outgoing.once('close', resolve));
    return null;
  };
}
