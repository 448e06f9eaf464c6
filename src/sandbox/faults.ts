/** Which of the next requests go wrong. The rules only; `inject-fault.ts` does it. */
import { z } from 'zod';
import { FAULT_KINDS, type FaultKind, threeDigitTimes } from './inject-fault.js';
import { randomOf } from './random.js';

/** A rule: which requests it hits, and what it does to them. */
export const faultSchema = z.strictObject({
  kind: z.enum(Object.keys(FAULT_KINDS) as [FaultKind, ...FaultKind[]]),
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
});

export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;
/** A rule and how often it has hit. */
export type FaultState = Fault & { id: number; hits: number };

export type Faults = ReturnType<typeof createFaults>;

const LISTINGS = /^\/(scheduled_events(\/[^/]+\/invitees)?|event_types|organization_memberships)$/;

/** Requests that can show a kind; any request when absent. */
const APPLIES: Partial<Record<FaultKind, (url: URL) => boolean>> = {
  'next-page-elsewhere': ({ pathname }) => LISTINGS.test(pathname),
  'page-twice': ({ pathname }) => LISTINGS.test(pathname),
  'short-listing': ({ pathname }) => LISTINGS.test(pathname),
  'stale-token': ({ searchParams }) => searchParams.has('page_token'),
  'strict-times': (url) => threeDigitTimes(url).length > 0,
};

/** @param seed of the probability that `rate` is about */
export function createFaults(seed: number) {
  let rules: (FaultState & { passed: number })[] = [];
  let counter = 0;
  const random = randomOf(seed, 601);
  const isHit = (rule: (typeof rules)[number], method: string, url: URL): boolean => {
    if (rule.method && rule.method.toUpperCase() !== method) return false;
    if (rule.match && !new RegExp(rule.match).test(url.pathname + url.search)) return false;
    if (APPLIES[rule.kind]?.(url) === false) return false;
    return rule.passed++ >= rule.after && (rule.rate === 1 || random() < rule.rate);
  };
  return {
    add(fault: Fault): FaultState {
      const rule = { ...fault, id: ++counter, hits: 0, passed: 0 };
      rules.push(rule);
      return rule;
    },
    /** Rules that may still hit. */
    active: (): FaultState[] => rules.map(({ passed: _passed, ...rule }) => rule),
    clear() {
      rules = [];
    },
    /** The fault that hits this request; null for none. */
    next(method: string, url: URL): Fault | null {
      const rule = rules.find((one) => isHit(one, method, url));
      if (!rule) return null;
      rule.hits++;
      if (rule.count !== null && rule.hits >= rule.count) rules = rules.filter((other) => other !== rule);
      return rule;
    },
  };
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
