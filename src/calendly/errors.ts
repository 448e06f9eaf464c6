/** What a bad answer, or none, means to an operator. Pure: errors in, errors out. */
import { z } from 'zod';
import { CalendlySyncError } from '../errors.js';

/** Where a personal access token is made. */
const TOKEN_PAGE = 'https://calendly.com/integrations/api_webhooks';

const errorBodySchema = z.looseObject({
  title: z.string().nullish(),
  message: z.string().nullish(),
  details: z
    .array(z.looseObject({ parameter: z.string().nullish(), message: z.string().nullish() }))
    .nullish()
    .catch(null),
  required_scopes: z.array(z.string()).nullish().catch(null),
});

/** The body of an error as Calendly writes it. */
export type ErrorBody = z.infer<typeof errorBodySchema>;

/** Calendly said no, in its own words. Internal to the library: `cause` of what leaves it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly body: ErrorBody,
    readonly request: string,
  ) {
    super(`${request}: ${status} ${body.title ?? ''} ${body.message ?? ''}`.trim());
  }
}

/** An answer that is none: HTML, nothing, half of it, another shape, a redirect. Asking again may help. */
export class InvalidResponseError extends Error {
  override readonly name = 'InvalidResponseError';
}

/** No answer at all: refused, reset, timed out. Asking again may help. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

/** A 5xx. Asking again may help. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  constructor(
    readonly status: number,
    request: string,
  ) {
    super(`${request}: status ${status}`);
  }
}

/** The error body when the text is one of Calendly's; null for HTML and anything else that something in between may write. */
export function readErrorBody(json: unknown): ErrorBody | null {
  const read = errorBodySchema.safeParse(json);
  return read.success && (read.data.title ?? read.data.message) ? read.data : null;
}

/** A 400 for a page token that has gone stale or belongs to another query: list again from the start. */
export function isStalePage(thrown: unknown): boolean {
  if (!(thrown instanceof ApiError) || thrown.status !== 400) return false;
  const { message, details } = thrown.body;
  return (
    /page_?token/i.test(message ?? '') || (details ?? []).some(({ parameter }) => parameter === 'page_token')
  );
}

/** 404 in Calendly's own words: the resource is gone. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof ApiError && thrown.status === 404;
}

/** 403 on one resource because of who asks, not because the token lacks a scope. */
export function isAccessLost(thrown: unknown): boolean {
  return thrown instanceof ApiError && thrown.status === 403 && !lacksScope(thrown.body);
}

function lacksScope(body: ErrorBody): boolean {
  return (body.required_scopes ?? []).length > 0 || /scope/i.test(body.title ?? '');
}

/** Any failure of a request as what leaves the library. What is already that, or an abort, passes through. */
export function toCalendlyError(thrown: unknown, baseUrl: string): unknown {
  if (thrown instanceof CalendlySyncError) return thrown;
  if (thrown instanceof ApiError) return refusal(thrown);
  if (thrown instanceof InvalidResponseError) {
    return new CalendlySyncError('calendly_invalid_response', thrown.message, {
      hint: `Is CALENDLY_API_URL right? It is ${baseUrl}. A proxy or a maintenance page in between may also answer like this.`,
      cause: thrown,
    });
  }
  if (thrown instanceof ServerError) {
    return new CalendlySyncError(
      'calendly_unreachable',
      `Calendly is in trouble: ${thrown.message}, after all retries.`,
      {
        hint: 'Run the same command again later; nothing that was stored is lost. See https://www.calendlystatus.com',
        cause: thrown,
      },
    );
  }
  if (thrown instanceof NetworkError) {
    const host = new URL(baseUrl).host;
    return new CalendlySyncError(
      'calendly_unreachable',
      `Calendly at ${host} does not answer (${thrown.message}).`,
      {
        hint: 'Check the network and CALENDLY_API_URL; then run the same command again.',
        cause: thrown,
      },
    );
  }
  return thrown;
}

/** The innermost reason of a failed fetch, whose own message is only "fetch failed". */
export function reasonOf(thrown: Error): string {
  let inner: unknown = thrown;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const { code, message } = inner as { code?: unknown; message?: string };
  if (thrown.name === 'TimeoutError') return 'timed out';
  return typeof code === 'string' ? code : (message ?? thrown.message);
}

function refusal(thrown: ApiError): CalendlySyncError {
  const { status, body, request } = thrown;
  const said = [body.title, body.message].filter(Boolean).join(': ');
  if (status === 401) {
    return new CalendlySyncError(
      'calendly_unauthorized',
      `Calendly does not accept the token (401: ${said}).`,
      {
        hint: `The token is wrong, expired or revoked. Make a new one at ${TOKEN_PAGE} and set CALENDLY_TOKEN.`,
        cause: thrown,
      },
    );
  }
  if (status === 403) {
    const scopes = body.required_scopes ?? [];
    return new CalendlySyncError('calendly_forbidden', `Calendly does not allow ${request} (403: ${said}).`, {
      hint:
        scopes.length > 0
          ? `The token lacks: ${scopes.join(', ')}. Make one that has them at ${TOKEN_PAGE}.`
          : "The token's user may not see this. An owner or admin of the organization can; so can the user whose data it is.",
      cause: thrown,
    });
  }
  if (status === 404) {
    return new CalendlySyncError('calendly_not_found', `Calendly does not know ${request} (404: ${said}).`, {
      hint: 'It was deleted, or CALENDLY_API_URL names another place.',
      cause: thrown,
    });
  }
  if (status === 429) {
    return new CalendlySyncError(
      'calendly_unreachable',
      'Calendly kept refusing requests for the rate limit (429).',
      {
        hint: "Other programs use up this user's allowance. Run the same command again later; nothing that was stored is lost.",
        cause: thrown,
      },
    );
  }
  const details = (body.details ?? [])
    .map((one) => [one.parameter, one.message].filter(Boolean).join(' '))
    .join('; ');
  return new CalendlySyncError(
    'calendly_rejected',
    `Calendly rejected ${request} (${status}: ${said}${details ? `; ${details}` : ''}).`,
    { hint: 'Run again with --verbose to see the requests.', cause: thrown },
  );
}
