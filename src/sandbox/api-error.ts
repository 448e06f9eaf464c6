/** Calendly's error bodies. They are thrown where a request goes wrong and become its answer. */

/** Title and message of each error. The body of a 429 is not documented. */
const USUAL: Record<number, [title: string, message: string]> = {
  400: ['Invalid Argument', 'The supplied parameters are invalid.'],
  401: ['Unauthenticated', 'The access token is invalid'],
  403: ['Permission Denied', 'You do not have permission to access this resource.'],
  404: ['Resource Not Found', 'The server could not find the requested resource.'],
  409: ['Already Exists', 'Hook with this url already exists'],
  429: ['Too Many Requests', 'The rate limit is exceeded.'],
};

/** A request that is answered with an error: the usual one of its status, with these fields added or replaced. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, fields: { title?: string; message?: string; [field: string]: unknown } = {}) {
    super(fields.message);
    const [title, message] = USUAL[status] ?? [
      'Internal Server Error',
      'The server met an unexpected condition.',
    ];
    this.status = status;
    this.body = { title, message, ...fields };
  }
}

/** 400, with one line for each parameter that is wrong. */
export function invalidArgument(...details: { parameter?: string; message: string }[]): ApiError {
  return new ApiError(400, { details });
}

/** For a page token that is too old, belongs to another query, or was never issued. */
export const staleToken = () => invalidArgument({ parameter: 'page_token', message: 'is invalid' });

/** Turns an error into its answer. */
export function errorResponse(error: Error): Response {
  if (error instanceof ApiError) return Response.json(error.body, { status: error.status });
  // A bug of the sandbox itself must not look like an answer of Calendly.
  return Response.json({ title: 'Sandbox Bug', message: error.stack ?? error.message }, { status: 500 });
}
