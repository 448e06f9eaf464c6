/**
 * Which of the next requests go wrong, and how. The rules only: what each fault does to an answer is in
 * `misbehaviour.ts`.
 */
import { z } from 'zod';
import { randomOf } from './random.js';

/** Every way to go wrong, with what it does. */
const FAULT_KINDS = {
  status: 'answers `status` with the error body of that status, or with `body`',
  html: 'answers 200 with an HTML page',
  truncated: 'answers the first half of the JSON as if it were whole',
  'other-shape': 'answers JSON of another shape',
  empty: 'answers 200 with nothing',
  hang: 'never answers',
  slow: 'sends the body in drops over `ms` milliseconds (2000)',
  reset: 'resets the connection instead of answering',
  'reset-body': 'resets the connection in the middle of the body',
  redirect: 'redirects to the same path at the origin `to`',
  'next-page-elsewhere': 'links the next page at the origin `to`',
  'page-twice': 'links the page itself as the next page',
  'stale-token': 'answers 400 to a page token, as if it had gone stale',
} as const;

export type FaultKind = keyof typeof FAULT_KINDS;

/** A rule as it is given to `fail`. */
export const faultSchema = z.strictObject({
  kind: z.enum(Object.keys(FAULT_KINDS) as [FaultKind, ...FaultKind[]]),
  /** How many requests it hits; 1 when absent, null for no end. */
  count: z.int().positive().nullable().default(1),
  /** A regular expression that path and query must match. */
  match: z.string().refine(isPattern, 'is not a regular expression').optional(),
  method: z.string().optional(),
  /** How many matching requests pass before the first hit. */
  after: z.int().nonnegative().default(0),
  /** The chance that a matching request is hit. */
  rate: z.number().min(0).max(1).default(1),
  status: z.int().min(200).max(599).default(500),
  /** Headers to add, by name. */
  headers: z.record(z.string(), z.string()).default({}),
  /** Leaves the rate-limit headers out. */
  bare: z.boolean().default(false),
  /** Answered instead of the status's own body: text as HTML, anything else as JSON. */
  body: z.unknown().optional(),
  ms: z.int().nonnegative().default(2_000),
  to: z.url().default('http://elsewhere.invalid'),
});

/** What a caller writes. */
export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;

/** A rule and what became of it. */
export interface FaultState extends Fault {
  id: number;
  hits: number;
}

export interface Faults {
  add(fault: Fault): FaultState;
  /** Rules that still may hit. */
  active(): FaultState[];
  clear(): void;
  /** The fault that this request meets, counted as a hit; null for none. */
  meet(method: string, pathAndQuery: string): Fault | null;
}

/** Kinds that only a listing can show. */
const LISTINGS = /^\/(scheduled_events(\/[^/?]+\/invitees)?|event_types|organization_memberships)(\?|$)/;
const ON_LISTINGS = new Set<FaultKind>(['next-page-elsewhere', 'page-twice']);

/** @param seed of the chance that `rate` speaks of */
export function createFaults(seed: number): Faults {
  let rules: (FaultState & { passed: number })[] = [];
  let counter = 0;
  const random = randomOf(seed, 601);
  return {
    add(fault) {
      const rule = { ...fault, id: ++counter, hits: 0, passed: 0 };
      rules.push(rule);
      return rule;
    },
    active: () => rules.map(({ passed: _passed, ...rule }) => rule),
    clear() {
      rules = [];
    },
    meet(method, pathAndQuery) {
      for (const rule of rules) {
        if (rule.method && rule.method.toUpperCase() !== method) continue;
        if (rule.match && !new RegExp(rule.match).test(pathAndQuery)) continue;
        if (ON_LISTINGS.has(rule.kind) && !(method === 'GET' && LISTINGS.test(pathAndQuery))) continue;
        if (rule.kind === 'stale-token' && !/[?&]page_token=/.test(pathAndQuery)) continue;
        if (rule.passed++ < rule.after) continue;
        if (rule.rate < 1 && random() >= rule.rate) continue;
        rule.hits++;
        if (rule.count !== null && rule.hits >= rule.count) rules = rules.filter((other) => other !== rule);
        return rule;
      }
      return null;
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
