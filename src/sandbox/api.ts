/** The API as Calendly has it: the log, the latency, and every endpoint with its token and scope. */
import { setTimeout as sleep } from 'node:timers/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { accountEndpoints } from './account-endpoints.js';
import { ApiError, errorResponse } from './api-error.js';
import { directoryEndpoints } from './directory-endpoints.js';
import type { Endpoint } from './endpoint.js';
import { eventEndpoints } from './event-endpoints.js';
import { oauthRoutes } from './oauth.js';
import type { RequestEntry } from './requests.js';
import { type Env, respond } from './respond.js';
import type { State } from './state.js';
import { subscriptionEndpoints } from './subscription-endpoints.js';

const ENDPOINTS = [...accountEndpoints, ...directoryEndpoints, ...eventEndpoints, ...subscriptionEndpoints];

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
  state: State,
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
  for (const endpoint of ENDPOINTS) {
    api.on(endpoint.method, endpoint.path, (c) => answer(state, endpoint, c));
  }
  return api;
}

const TOKEN_ERRORS = {
  unknown: 'The access token is invalid',
  expired: 'The access token expired',
  revoked: 'The access token was revoked',
};

/** Answers a request with a valid token, within the rate limit. */
async function answer(state: State, endpoint: Endpoint, c: Context<Env>): Promise<Response> {
  const bearer = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  const token = state.tokens.lookup(bearer);
  if (typeof token === 'string') throw new ApiError(401, { message: TOKEN_ERRORS[token] });
  const { host: caller, scopes } = token;
  c.get('entry').user = caller.user.uri;
  return respond(state, state.rateLimit, caller.user.uri, c, async (meetings = state.meetings) => {
    const { method, scope } = endpoint;
    // A scope to write includes the one to read.
    if (scopes !== null && !scopes.some((one) => [scope, scope.replace(':read', ':write')].includes(one))) {
      const message = 'The access token lacks a scope that this request needs.';
      throw new ApiError(403, { title: 'Insufficient scope', message, required_scopes: [scope] });
    }
    const { id = '', above = '' } = c.req.param() as { id?: string; above?: string };
    const url = new URL(c.req.url);
    // An empty parameter counts as absent.
    const query = Object.fromEntries([...url.searchParams].filter(([, value]) => value));
    const input = method === 'POST' ? await c.req.json().catch(() => null) : query;
    const result = endpoint.answer({ state, meetings, caller, id, above }, input);
    if (result === undefined) return new Response(null, { status: 204 });
    if (Array.isArray(result)) return Response.json(state.pages.cut(url, caller.user.uri, result));
    return Response.json({ resource: result }, { status: method === 'POST' ? 201 : 200 });
  });
}
