/** Calendly's error bodies. They are thrown where a request goes wrong and become its answer. */
/** The errors that Calendly answers. The body of a 429 is not documented. */
const USUAL: Record<number, { title: string; message: string }> = {
  400: { title: 'Invalid Argument', message: 'The supplied parameters are invalid.' },
  401: { title: 'Unauthenticated', message: 'The access token is invalid' },
  403: { title: 'Permission Denied', message: 'You do not have permission to access this resource.' },
  404: { title: 'Resource Not Found', message: 'The server could not find the requested resource.' },
  409: { title: 'Already Exists', message: 'Hook with this url already exists' },
  429: { title: 'Too Many Requests', message: 'The rate limit is exceeded.' },
};

const UNKNOWN = { title: 'Internal Server Error', message: 'The server met an unexpected condition.' };

/** A request that is answered with an error: the usual one of its status, with these fields added or replaced. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly body: Record<string, unknown>;

  constructor(status: number, fields: { title?: string; message?: string; [field: string]: unknown } = {}) {
    super(fields.message);
    this.status = status;
    this.body = { ...(USUAL[status] ?? UNKNOWN), ...fields };
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
