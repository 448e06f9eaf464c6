/** Calendly's error bodies, thrown where a request goes wrong and answered by the API's error handler. */
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export interface ProblemDetail {
  parameter?: string;
  message: string;
}

/** A request that is answered with an error; the body is `{title, message, details?, …}`. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: ContentfulStatusCode;
  readonly body: Record<string, unknown>;

  constructor(
    status: ContentfulStatusCode,
    title: string,
    message: string,
    more: Record<string, unknown> = {},
  ) {
    super(message);
    this.status = status;
    this.body = { title, message, ...more };
  }
}

/** 400, with one line for each parameter that is wrong. */
export function invalidArgument(...details: ProblemDetail[]): Problem {
  return new Problem(400, 'Invalid Argument', 'The supplied parameters are invalid.', { details });
}

/** 400 for a page token that is too old, was made for another query, or was never made. */
export function staleToken(): Problem {
  return invalidArgument({ parameter: 'page_token', message: 'is invalid' });
}

export function unauthenticated(message: string): Problem {
  return new Problem(401, 'Unauthenticated', message);
}

export function permissionDenied(message = 'You do not have permission to access this resource.'): Problem {
  return new Problem(403, 'Permission Denied', message);
}

export function insufficientScope(scope: string): Problem {
  return new Problem(403, 'Insufficient scope', 'The access token lacks a scope that this request needs.', {
    required_scopes: [scope],
  });
}

export function notFound(): Problem {
  return new Problem(404, 'Resource Not Found', 'The server could not find the requested resource.');
}

/** 429; Calendly does not say what its body is. */
export function tooManyRequests(): Problem {
  return new Problem(429, 'Too Many Requests', 'The rate limit is exceeded.');
}

/** Turns a thrown problem into its answer. */
export function answerProblem(thrown: Error): Response {
  if (thrown instanceof Problem) return Response.json(thrown.body, { status: thrown.status });
  // A defect of the sandbox itself must not look like one of Calendly.
  return Response.json({ title: 'Sandbox Defect', message: thrown.stack ?? thrown.message }, { status: 500 });
}
