/**
 * The API as Calendly has it: every endpoint, and what each request passes on its way: the log, the latency, the
 * token, the rate limit, the faults, the scope.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { actionEndpoints } from './action-endpoints.js';
import { errorResponse, insufficientScope, notFound, tooManyRequests, unauthenticated } from './api-error.js';
import type { Endpoint } from './endpoint.js';
import { eventEndpoints } from './event-endpoints.js';
import { injectFault } from './inject-fault.js';
import { exchangeGrant, grantOf, readForm } from './oauth.js';
import { organizationEndpoints } from './organization-endpoints.js';
import type { RateLimit, RateLimitState } from './rate-limit.js';
import type { RequestEntry } from './request-log.js';
import type { SandboxState } from './state.js';
import { subscriptionEndpoints } from './subscription-endpoints.js';

const ENDPOINTS = [...organizationEndpoints, ...eventEndpoints, ...actionEndpoints, ...subscriptionEndpoints];

interface Env {
  Bindings: HttpBindings;
  Variables: { entry: RequestEntry };
}

/** Called with every request before it is answered; a test changes the account at exactly that moment. */
export type RequestListener = (entry: Readonly<RequestEntry>) => unknown;

/** How requests are answered, whatever they ask for. */
export interface ServerBehavior {
  /** Waits so long before each answer. */
  latencyMs: number;
  listeners: ReadonlySet<RequestListener>;
  /** Called with each request when it is answered or broken off. */
  onAnswer(entry: Readonly<RequestEntry>): void;
}

/** The API of a sandbox. */
export function createApi(state: SandboxState, behavior: ServerBehavior): Hono<Env> {
  const api = new Hono<Env>();
  api.onError(errorResponse);
  api.notFound(() => errorResponse(notFound()));
  api.use(logRequests(state, behavior));
  const allowed = new Map<string, string[]>([['/oauth/token', ['POST']]]);
  api.post('/oauth/token', async (c) => {
    const form = await readForm(c.req.raw);
    const owner = state.tokens.ownerOf(grantOf(form))?.user.uri ?? null;
    c.get('entry').user = owner;
    // A grant that is unknown belongs to nobody: such requests share one rate limit.
    return rateLimited(state, state.oauthRateLimit, owner ?? 'client', c, async () =>
      exchangeGrant(state, form, c.req.header('authorization')),
    );
  });
  for (const endpoint of ENDPOINTS) {
    const { method, path } = endpoint;
    allowed.set(path, [...(allowed.get(path) ?? []), method]);
    api.on(method, path, (c) => answer(state, endpoint, c));
  }
  for (const [path, methods] of allowed) {
    api.all(path, ({ req: { method } }) => {
      const body = { title: 'Method Not Allowed', message: `${method} is not possible here.` };
      return Response.json(body, { status: 405, headers: { allow: methods.join(', ') } });
    });
  }
  return api;
}

/** Logs the request, calls the listeners, and waits for the latency. */
function logRequests(
  state: SandboxState,
  { latencyMs, listeners, onAnswer }: ServerBehavior,
): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { pathname: path, search } = new URL(c.req.url);
    const user_agent = c.req.header('user-agent') ?? null;
    const entry = state.log.begin({ method: c.req.method, path, query: search.slice(1), user_agent });
    c.set('entry', entry);
    for (const listener of listeners) await listener(entry);
    if (latencyMs > 0) await sleep(latencyMs, undefined, { ref: false });
    await next();
    if (c.res !== RESPONSE_ALREADY_SENT) entry.status = c.res.status;
    onAnswer(entry);
  };
}

const TOKEN_ERRORS = {
  unknown: 'The access token is invalid',
  expired: 'The access token expired',
  revoked: 'The access token was revoked',
};

/** Answers a request with a valid token, within the rate limit. */
async function answer(state: SandboxState, endpoint: Endpoint, c: Context<Env>): Promise<Response> {
  const bearer = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  const token = state.tokens.lookup(bearer);
  if (typeof token === 'string') throw unauthenticated(TOKEN_ERRORS[token]);
  const { host: caller, scopes } = token;
  c.get('entry').user = caller.user.uri;
  return rateLimited(state, state.rateLimit, caller.user.uri, c, async (lagging) => {
    if (scopes !== null && !scopes.includes(endpoint.scope)) throw insufficientScope(endpoint.scope);
    const meetings = lagging ? state.meetings.beforeLastChange() : state.meetings;
    const request = {
      state,
      meetings,
      caller,
      url: new URL(c.req.url),
      body: () => c.req.json() as Promise<unknown>,
    };
    const result = await endpoint.answer(request, c.req.param('id') ?? '', c.req.param('below') ?? '');
    if (result === null) return new Response(null, { status: 204 });
    return Response.json(result, { status: endpoint.method === 'POST' ? 201 : 200 });
  });
}

/** Counts the request, lets a fault hit it or answers it, and reports in the headers what is left. */
async function rateLimited(
  { faults }: SandboxState,
  rateLimit: RateLimit,
  user: string,
  c: Context<Env>,
  respond: (lagging: boolean) => Promise<Response>,
): Promise<Response> {
  const limit = rateLimit.take(user);
  if (!limit.allowed) return withRateLimit(errorResponse(tooManyRequests()), limit);
  const url = new URL(c.req.url);
  const safely = (lagging = false) => respond(lagging).catch(errorResponse);
  const fault = faults.next(c.req.method, url);
  if (fault === null) return withRateLimit(await safely(), limit);
  c.get('entry').fault = fault.kind;
  const response = await injectFault(fault, { url, outgoing: c.env.outgoing, answer: safely });
  if (response === null) return RESPONSE_ALREADY_SENT;
  const isSpent = fault.kind === 'status' && fault.status === 429;
  return fault.bare ? response : withRateLimit(response, isSpent ? { ...limit, remaining: 0 } : limit);
}

function withRateLimit(response: Response, { limit, remaining, resetSeconds }: RateLimitState): Response {
  for (const [name, value] of Object.entries({ Limit: limit, Remaining: remaining, Reset: resetSeconds })) {
    const header = `X-RateLimit-${name}`;
    // A fault may have set its own.
    if (!response.headers.has(header)) response.headers.set(header, String(value));
  }
  return response;
}
