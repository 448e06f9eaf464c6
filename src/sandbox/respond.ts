/** What every request passes on its way to an answer: the rate limit and the faults. Knows no endpoint. */
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { ApiError, errorResponse } from './api-error.js';
import { injectFault } from './faults.js';
import type { Meetings } from './meetings.js';
import type { RateLimit, RequestEntry } from './requests.js';
import type { State } from './state.js';

/** What the handlers of a request share. */
export interface Env {
  Bindings: HttpBindings;
  Variables: { entry: RequestEntry };
}

/**
 * Counts the request, lets a fault hit it or answers it, and reports in the headers what is left.
 * @param user whose requests are counted @param respond answers from these meetings, those of now by default
 */
export async function respond(
  { faults }: State,
  rateLimit: RateLimit,
  user: string,
  c: Context<Env>,
  respond: (meetings?: Meetings) => Promise<Response>,
): Promise<Response> {
  const { allowed, headers } = rateLimit.take(user);
  const url = new URL(c.req.url);
  const rule = allowed ? faults.next(url) : undefined;
  const answer = (meetings?: Meetings) => respond(meetings).catch(errorResponse);
  let response: Response | null = errorResponse(new ApiError(429));
  if (rule) {
    c.get('entry').fault = rule.kind;
    response = await injectFault(rule, { url, outgoing: c.env.outgoing, answer });
  } else if (allowed) response = await answer();
  if (response === null) return RESPONSE_ALREADY_SENT;
  if (response.status === 429) headers.Remaining = 0;
  for (const [name, value] of Object.entries(headers)) {
    const header = `X-RateLimit-${name}`;
    // A fault may have set its own.
    if (!response.headers.has(header)) response.headers.set(header, String(value));
  }
  return response;
}
