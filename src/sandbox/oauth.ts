/** `POST /oauth/token`: form-encoded in, a token pair out. */
import type { SandboxState } from './state.js';

/** The only OAuth client of the sandbox. */
export const OAUTH_CLIENT = {
  client_id: 'sandbox-client',
  client_secret: 'sandbox-client-secret',
} as const;

/** The form of a token request; empty when it is not form-encoded. */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get('content-type') ?? '';
  return new URLSearchParams(
    type.startsWith('application/x-www-form-urlencoded') ? await request.text() : '',
  );
}

/** The code or refresh token that the form carries. */
export function grantOf(form: URLSearchParams): string {
  return form.get(form.get('grant_type') === 'refresh_token' ? 'refresh_token' : 'code') ?? '';
}

/** Exchanges a grant for a token pair. Errors are in the words of OAuth. */
export function exchangeGrant({ tokens }: SandboxState, form: URLSearchParams, authorization = ''): Response {
  const grantType = form.get('grant_type');
  if (!grantType) return failure(400, 'invalid_request', 'grant_type is missing; send the form url-encoded.');
  if (!isClient(form, authorization)) {
    return failure(401, 'invalid_client', 'The client is unknown or its secret is wrong.');
  }
  if (grantType !== 'refresh_token' && grantType !== 'authorization_code') {
    return failure(400, 'unsupported_grant_type', 'The grant type is not supported.');
  }
  const pair = tokens.redeem(grantOf(form));
  return pair ? Response.json(pair) : failure(400, 'invalid_grant', 'The grant is unknown, used or revoked.');
}

function failure(status: number, error: string, description: string): Response {
  return Response.json({ error, error_description: description }, { status });
}

/** The client identifies itself in a Basic header or in the form. */
function isClient(form: URLSearchParams, authorization: string): boolean {
  const basic = /^Basic +(\S+)$/i.exec(authorization)?.[1];
  const given = basic
    ? Buffer.from(basic, 'base64').toString()
    : `${form.get('client_id') ?? ''}:${form.get('client_secret') ?? ''}`;
  return given === `${OAUTH_CLIENT.client_id}:${OAUTH_CLIENT.client_secret}`;
}
