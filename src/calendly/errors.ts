/** Errors of requests to Calendly, and how each is explained to an operator. Pure. */
import { z } from 'zod';
import { CalendlySyncError, type ErrorCode } from '../errors.js';

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

/** The response is not valid: HTML, empty, truncated, of another shape, a redirect. A retry may help. */
export class InvalidResponseError extends Error {
  override readonly name = 'InvalidResponseError';
}

/** No response: connection refused or reset, or a timeout. A retry may help. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

/** A 5xx. A retry may help. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
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

function apiError(error: unknown): ApiError | null {
  const cause = error instanceof CalendlySyncError ? error.cause : error;
  return cause instanceof ApiError ? cause : null;
}

/** Explains a failed request to the operator. Other values, such as an abort, are returned unchanged. */
export function toCalendlyError(cause: unknown, baseUrl: string): unknown {
  const explain = (code: ErrorCode, message: string, hint: string) =>
    new CalendlySyncError(code, message, { hint, cause });
  if (cause instanceof ApiError) return explain(...explainApiError(cause));
  if (cause instanceof InvalidResponseError) {
    return explain(
      'calendly_invalid_response',
      cause.message,
      `Is CALENDLY_API_URL right? It is ${baseUrl}. A proxy or a maintenance page can also answer like this.`,
    );
  }
  if (cause instanceof ServerError) {
    return explain(
      'calendly_unreachable',
      `Calendly returned a server error after all retries: ${cause.message}.`,
      'Run the same command again later; no stored data was lost. See https://www.calendlystatus.com',
    );
  }
  if (cause instanceof NetworkError) {
    return explain(
      'calendly_unreachable',
      `Calendly at ${new URL(baseUrl).host} does not answer (${cause.message}).`,
      'Check the network and CALENDLY_API_URL; then run the same command again.',
    );
  }
  return cause;
}

function explainApiError({ status, body, request }: ApiError): [ErrorCode, string, string] {
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
      return [
        'calendly_forbidden',
        `Calendly does not allow ${request} (403: ${answer}).`,
        scopes.length > 0
          ? `The token lacks: ${scopes.join(', ')}. Create one that has them at ${TOKEN_PAGE}.`
          : "The token's user may not see this. An owner or admin of the organization may, and so may the user whose data it is.",
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
