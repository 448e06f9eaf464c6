/**
 * The API as Calendly has it: every endpoint, and what each request passes on its way: the log, the latency, the
 * token, the rate limit, the faults, the scope.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { accountEndpoints } from './account-endpoints.js';
import { ApiError, errorResponse } from './api-error.js';
import type { Endpoint } from './endpoint.js';
import { eventEndpoints } from './event-endpoints.js';
import { injectFault } from './faults.js';
import { oauthRoutes } from './oauth.js';
import type { RateLimit, RequestEntry } from './requests.js';
import type { SandboxState } from './state.js';
import { exchangeGrant, readTokenRequest } from './tokens.js';

const ENDPOINTS = [...accountEndpoints, ...eventEndpoints];
const TOKEN_PATH = '/oauth/token';

interface Env {
  Bindings: HttpBindings;
  Variables: { entry: RequestEntry };
}

/** How requests are answered, whatever they ask for. */
export interface ServerBehavior {
  /** Milliseconds before each answer; 0 by default. */
  latency?: number;
  /** Called with each request when it is answered, or broken off by a fault. */
  onAnswer?(entry: Readonly<RequestEntry>): void;
}

/** Called with every request before it is answered; a test changes the account at exactly that moment. */
export type RequestListener = (entry: Readonly<RequestEntry>) => unknown;

/** The API of a sandbox. */
export function createApi(
  state: SandboxState,
  listeners: ReadonlySet<RequestListener>,
  { latency = 0, onAnswer }: ServerBehavior,
): Hono<Env> {
  const api = new Hono<Env>();
  api.onError(errorResponse);
  api.notFound(() => errorResponse(new ApiError(404)));
  api.use(async (c, next) => {
    const { pathname: path, search } = new URL(c.req.url);
    const user_agent = c.req.header('user-agent') ?? null;
    const entry = state.log.begin({ method: c.req.method, path, query: search.slice(1), user_agent });
    c.set('entry', entry);
    for (const listener of listeners) await listener(entry);
    if (latency > 0) await sleep(latency, undefined, { ref: false });
    await next();
    if (c.res !== RESPONSE_ALREADY_SENT) entry.status = c.res.status;
    onAnswer?.(entry);
  });
  api.route('/oauth', oauthRoutes(state));
  api.post(TOKEN_PATH, async (c) => {
    const request = await readTokenRequest(c.req.raw, state.tokens);
    const owner = request.grant?.host.user.uri ?? null;
    c.get('entry').user = owner;
    // A grant that is unknown belongs to nobody: such requests share one rate limit.
    return rateLimited(state, state.oauthRateLimit, owner ?? '', c, async () => exchangeGrant(request));
  });
  for (const endpoint of ENDPOINTS) {
    api.on(endpoint.method, endpoint.path, (c) => answer(state, endpoint, c));
  }
  for (const { path } of [...ENDPOINTS, { path: TOKEN_PATH }]) {
    const allowed = ENDPOINTS.filter((endpoint) => endpoint.path === path).map(({ method }) => method);
    const headers = { allow: path === TOKEN_PATH ? 'POST' : allowed.join(', ') };
    api.all(path, ({ req: { method } }) => {
      const body = { title: 'Method Not Allowed', message: `${method} is not possible here.` };
      return Response.json(body, { status: 405, headers });
    });
  }
  return api;
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
  if (typeof token === 'string') throw new ApiError(401, { message: TOKEN_ERRORS[token] });
  const { host: caller, scopes } = token;
  c.get('entry').user = caller.user.uri;
  return rateLimited(state, state.rateLimit, caller.user.uri, c, async (isLagging) => {
    // A scope to write includes the one to read.
    const enough = [endpoint.scope, endpoint.scope.replace(':read', ':write')];
    if (scopes !== null && !scopes.some((scope) => enough.includes(scope))) {
      const message = 'The access token lacks a scope that this request needs.';
      throw new ApiError(403, { title: 'Insufficient scope', message, required_scopes: [endpoint.scope] });
    }
    const meetings = isLagging ? state.meetings.beforeLastCommand() : state.meetings;
    const url = new URL(c.req.url);
    const request = { state, meetings, caller, url, body: () => c.req.json<unknown>() };
    const { id = '', below = '' } = c.req.param() as { id?: string; below?: string };
    const result = await endpoint.answer(request, id, below);
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
  respond: (isLagging: boolean) => Promise<Response>,
): Promise<Response> {
  const { allowed, limit, remaining, resetSeconds } = rateLimit.take(user);
  const headers = { Limit: limit, Remaining: remaining, Reset: resetSeconds };
  if (!allowed) return withHeaders(errorResponse(new ApiError(429)), headers);
  const url = new URL(c.req.url);
  const safely = (isLagging = false) => respond(isLagging).catch(errorResponse);
  const fault = faults.next(c.req.method, url);
  if (!fault) return withHeaders(await safely(), headers);
  c.get('entry').fault = fault.kind;
  const response = await injectFault(fault, { url, outgoing: c.env.outgoing, answer: safely });
  if (response === null) return RESPONSE_ALREADY_SENT;
  const isSpent = fault.kind === 'status' && fault.status === 429;
  return fault.bare ? response : withHeaders(response, isSpent ? { ...headers, Remaining: 0 } : headers);
}

/** The response with the `X-RateLimit-…` headers that a fault did not set itself. */
function withHeaders(response: Response, headers: Record<string, number>): Response {
  for (const [name, value] of Object.entries(headers)) {
    const header = `X-RateLimit-${name}`;
    if (!response.headers.has(header)) response.headers.set(header, String(value));
  }
  return response;
}
