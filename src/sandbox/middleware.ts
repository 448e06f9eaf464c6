/**
 * What every request passes before it reaches its endpoint: the log, the latency, the token, the allowance, the faults.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { answerProblem, insufficientScope, tooManyRequests, unauthenticated } from './api-error.js';
import { misbehave, RESPONSE_ALREADY_SENT } from './inject-fault.js';
import type { Host } from './people.js';
import type { Allowance, Allowed } from './rate-limit.js';
import type { RequestEntry } from './request-log.js';
import type { World } from './state.js';
import type { Scopes } from './tokens.js';

/** What the endpoints find in their context. */
export interface GateEnv {
  Bindings: HttpBindings;
  Variables: { entry: RequestEntry; caller: Host; scopes: Scopes };
}

/** Hears of every request before it is answered; a test changes the world in just this moment. */
export type RequestListener = (entry: Readonly<RequestEntry>) => unknown;

/** How requests are met, apart from what they ask. */
export interface Manners {
  /** Passes before each answer. */
  latencyMs: number;
  listeners: ReadonlySet<RequestListener>;
  /** Hears of each request when it is answered or cut off. */
  onAnswer(entry: Readonly<RequestEntry>): void;
}

/** Logs the request, tells the listeners, and waits for the latency. Outermost. */
export function entrance(
  world: World,
  { latencyMs, listeners, onAnswer }: Manners,
): MiddlewareHandler<GateEnv> {
  return async (c, next) => {
    const { pathname, search } = new URL(c.req.url);
    const entry = world.log.begin({
      method: c.req.method,
      path: pathname,
      query: search.slice(1),
      user_agent: c.req.header('user-agent') ?? null,
    });
    c.set('entry', entry);
    for (const listener of listeners) await listener(entry);
    if (latencyMs > 0) await sleep(latencyMs, undefined, { ref: false });
    await next();
    if (c.res !== RESPONSE_ALREADY_SENT) entry.status = c.res.status;
    onAnswer(entry);
  };
}

/** Lets in who has a valid token, within the allowance; then the faults have their turn. */
export function guarded(world: World): MiddlewareHandler<GateEnv> {
  return async (c, next) => {
    const lookup = world.tokens.lookup(bearer(c.req.header('authorization')));
    if (lookup.state !== 'valid') throw unauthenticated(REFUSALS[lookup.state]);
    c.set('caller', lookup.host);
    c.set('scopes', lookup.scopes);
    c.get('entry').user = lookup.host.user.uri;
    await metered(world, world.allowance, lookup.host.user.uri, c, next);
  };
}

/** Counts the request against an allowance, lets a fault have it or answers it, and says in the headers what is left. */
export async function metered(
  world: World,
  allowance: Allowance,
  user: string,
  c: Context<GateEnv>,
  next: () => Promise<unknown>,
): Promise<void> {
  const allowed = allowance.take(user);
  if (!allowed.ok) {
    c.res = answerProblem(tooManyRequests());
    return addAllowance(c.res, allowed);
  }
  const { pathname, search } = new URL(c.req.url);
  const fault = world.faults.meet(c.req.method, pathname + search);
  if (fault === null) {
    await next();
    return addAllowance(c.res, allowed);
  }
  c.get('entry').fault = fault.kind;
  const answer = async () => {
    await next();
    return c.res;
  };
  const { outgoing } = c.env;
  const response = await misbehave(fault, { url: new URL(c.req.url), outgoing, answer });
  c.res = undefined;
  c.res = response ?? RESPONSE_ALREADY_SENT;
  const spent = fault.kind === 'status' && fault.status === 429 ? { ...allowed, remaining: 0 } : allowed;
  if (response !== null && !fault.bare) addAllowance(response, spent);
}

/** Refuses a token that lacks the scope; a token without scopes may do everything. */
export function requireScope(scope: string): MiddlewareHandler<GateEnv> {
  return async (c, next) => {
    const scopes = c.get('scopes');
    if (scopes !== null && !scopes.includes(scope)) throw insufficientScope(scope);
    await next();
  };
}

const REFUSALS = {
  unknown: 'The access token is invalid',
  expired: 'The access token expired',
  revoked: 'The access token was revoked',
};

function bearer(header: string | undefined): string {
  return /^Bearer +(\S+)$/i.exec(header ?? '')?.[1] ?? '';
}

function addAllowance(response: Response, { limit, remaining, resetSeconds }: Allowed): void {
  const headers = { Limit: limit, Remaining: remaining, Reset: resetSeconds };
  for (const [name, value] of Object.entries(headers)) {
    // A fault may have set its own.
    if (!response.headers.has(`X-RateLimit-${name}`))
      response.headers.set(`X-RateLimit-${name}`, String(value));
  }
}
