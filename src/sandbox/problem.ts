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
