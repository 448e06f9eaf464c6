/** Errors of requests to Calendly, and how each is explained to an operator. Pure. */
import { z } from 'zod';
import { CalendlySyncError, type ErrorCode, rootOf } from '../errors.js';

/** Where a personal access token is created. */
const TOKEN_PAGE = 'https://calendly.com/integrations/api_webhooks';

const text = z.string().nullish();
const errorBodySchema = z.looseObject({
  title: text,
  message: text,
  details: z
    .array(z.looseObject({ parameter: text, message: text }))
    .nullish()
    .catch(null),
  required_scopes: z.array(z.string()).nullish().catch(null),
});

/** The body of an error as Calendly writes it. */
export type ErrorBody = z.infer<typeof errorBodySchema>;

/**
 * Calendly rejected the request with an error body of its own. The cause of the CalendlySyncError that leaves this
 * folder.
 */
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

/**
 * No usable response, and why. A retry may help, except after a `pause`.
 * - `network`: none at all: refused, reset, or a timeout
 * - `server`: a 5xx
 * - `web_page`: HTML instead of JSON: a maintenance page, or a CDN's or a proxy's answer, which passes
 * - `invalid`: anything else that is not valid: empty, truncated, of another shape, a redirect
 * - `pause`: none was sent, because the rate limit allows no request for longer than a run waits
 */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  constructor(
    readonly kind: 'network' | 'server' | 'web_page' | 'invalid' | 'pause',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The error of a pause. @param until when requests are allowed again, in ms since 1970 */
export function pauseError(until: number, now: number): RequestError {
  return new RequestError('pause', minuteAfter(until, now));
}

/** The error body if Calendly wrote it; null for HTML and anything else that a proxy may answer. */
export function parseErrorBody(json: unknown): ErrorBody | null {
  const { data } = errorBodySchema.safeParse(json);
  return data && (data.title ?? data.message) ? data : null;
}

/** The status of Calendly's own error response; null for every other failure. */
export function statusOf(error: unknown): number | null {
  return apiError(error)?.status ?? null;
}

/** True for a 400 because a page token is stale or belongs to another query. The listing must start again. */
export function isStalePage(error: unknown): boolean {
  const api = apiError(error);
  if (api?.status !== 400) return false;
  const { message, details } = api.body;
  return (
    /page_?token/i.test(message ?? '') || (details ?? []).some(({ parameter }) => parameter === 'page_token')
  );
}

/** True for a 403 on one resource because of who asks, not because the token lacks a scope. */
export function isAccessLost(error: unknown): boolean {
  const api = apiError(error);
  if (api?.status !== 403) return false;
  return !api.body.required_scopes?.length && !/scope/i.test(api.body.title ?? '');
}

/** True for a failure that every further request of the account would meet. */
export function concernsAccount(error: unknown): boolean {
  const cause = rootOf(error);
  if (cause instanceof RequestError) return cause.kind === 'pause';
  const status = statusOf(cause);
  return status === 401 || (status === 403 && !isAccessLost(cause));
}

function apiError(error: unknown): ApiError | null {
  const cause = rootOf(error);
  return cause instanceof ApiError ? cause : null;
}

type Explanation = [code: ErrorCode, message: string, hint: string];

/** Explains a failed request to the operator. Other values, such as an abort, are returned unchanged. */
export function toCalendlyError(cause: unknown, baseUrl: string): unknown {
  if (!(cause instanceof ApiError || cause instanceof RequestError)) return cause;
  const explanation = cause instanceof ApiError ? explainApiError(cause) : explain(cause, baseUrl);
  const [code, message, hint] = explanation;
  return new CalendlySyncError(code, message, { hint, cause });
}

function explain({ kind, message }: RequestError, baseUrl: string): Explanation {
  switch (kind) {
    case 'network':
      return [
        'calendly_unreachable',
        `Calendly at ${new URL(baseUrl).host} does not answer (${message}).`,
        'Check the network and CALENDLY_API_URL; then run the same command again.',
      ];
    case 'server':
      return [
        'calendly_unreachable',
        `Calendly returned a server error after all retries: ${message}.`,
        'Run the same command again later; no stored data was lost. See https://www.calendlystatus.com',
      ];
    case 'web_page':
      return [
        'calendly_unreachable',
        message,
        'Calendly may be under maintenance, or a proxy answers for it: try again later. ' +
          `If that does not help, check CALENDLY_API_URL; it is ${baseUrl}.`,
      ];
    case 'invalid':
      return [
        'calendly_invalid_response',
        message,
        `Is CALENDLY_API_URL right? It is ${baseUrl}. A proxy or a maintenance page can also answer like this.`,
      ];
    case 'pause':
      return [
        'calendly_unreachable',
        `Calendly has paused this account (429): no request is allowed until ${message}.`,
        `Try again after ${message}. What was read so far is stored.`,
      ];
  }
}

function explainApiError(cause: ApiError): Explanation {
  const { status, body, request } = cause;
  const scopes = body.required_scopes ?? [];
  const details = (body.details ?? []).map((one) => [one.parameter, one.message].filter(Boolean).join(' '));
  const answer = [[body.title, body.message].filter(Boolean).join(': '), ...details].join('; ');
  switch (status) {
    case 401:
      return [
        'calendly_unauthorized',
        `Calendly does not accept the token (401: ${answer}).`,
        `The token is wrong, expired or revoked. Create a new one at ${TOKEN_PAGE} and set CALENDLY_TOKEN.`,
      ];
    case 403:
      if (!isAccessLost(cause)) {
        return [
          'calendly_forbidden',
          `The token lacks a scope${scopes.length > 0 ? `: ${scopes.join(', ')}` : ''} (403: ${answer}).`,
          `${request} needs it. Create a token that has it at ${TOKEN_PAGE} and set CALENDLY_TOKEN.`,
        ];
      }
      return [
        'calendly_forbidden',
        `Calendly does not allow ${request} (403: ${answer}).`,
        "The token's user may not see this. An owner or admin of the organization may, and the user whose data it is.",
      ];
    case 404:
      return [
        'calendly_not_found',
        `Calendly does not know ${request} (404: ${answer}).`,
        'It was deleted, or CALENDLY_API_URL is wrong.',
      ];
    case 429:
      return [
        'calendly_unreachable',
        'Calendly kept rate-limiting requests (429).',
        "Other programs use up this user's allowance. Run the same command again later; no data was lost.",
      ];
    default:
      return [
        'calendly_rejected',
        `Calendly rejected ${request} (${status}: ${answer}).`,
        'Run again with --verbose to see the requests.',
      ];
  }
}

/** `14:31 UTC`, rounded up to a whole minute; with the date if it is a day or more away. */
function minuteAfter(until: number, now: number): string {
  const text = new Date(Math.ceil(until / 60_000) * 60_000).toISOString();
  const time = `${text.slice(11, 16)} UTC`;
  return until - now < 86_400_000 ? time : `${text.slice(0, 10)} ${time}`;
}
