/** Calendly's error bodies. They are thrown where a request goes wrong and become its answer. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** A request that is answered with an error; the body is `{title, message, details?, …}`. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ContentfulStatusCode;
  readonly body: Record<string, unknown>;

  constructor(status: ContentfulStatusCode, title: string, message: string, more: object = {}) {
    super(message);
    this.status = status;
    this.body = { title, message, ...more };
  }
}

/** 400, with one line for each parameter that is wrong. */
export function invalidArgument(...details: { parameter?: string; message: string }[]): ApiError {
  return new ApiError(400, 'Invalid Argument', 'The supplied parameters are invalid.', { details });
}

/** 400 for a page token that is too old, belongs to another query, or was never issued. */
export const staleToken = () => invalidArgument({ parameter: 'page_token', message: 'is invalid' });

export const unauthenticated = (message: string) => new ApiError(401, 'Unauthenticated', message);

export function permissionDenied(message = 'You do not have permission to access this resource.'): ApiError {
  return new ApiError(403, 'Permission Denied', message);
}

export function insufficientScope(scope: string): ApiError {
  const message = 'The access token lacks a scope that this request needs.';
  return new ApiError(403, 'Insufficient scope', message, { required_scopes: [scope] });
}

export const notFound = () =>
  new ApiError(404, 'Resource Not Found', 'The server could not find the requested resource.');

/** 429. Calendly does not document its body. */
export const tooManyRequests = () => new ApiError(429, 'Too Many Requests', 'The rate limit is exceeded.');

/** Turns an error into its answer. */
export function errorResponse(error: Error): Response {
  if (error instanceof ApiError) return Response.json(error.body, { status: error.status });
  // A bug of the sandbox itself must not look like an answer of Calendly.
  return Response.json({ title: 'Sandbox Bug', message: error.stack ?? error.message }, { status: 500 });
}
