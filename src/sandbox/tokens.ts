/** Access tokens, OAuth pairs whose refresh token works once, and `POST /oauth/token`. */
import type { Host } from './organization.js';
import { uuidOf } from './random.js';
import { type Micros, SECOND } from './time.js';
export type Scopes = readonly string[] | null;
type Ending = 'expired' | 'revoked';

interface Token {
  host: Host;
  scopes: Scopes;
  kind: 'access' | 'refresh' | 'code';
  expiresAt: Micros;
  ended: Ending | null;
}

const ACCESS_LIFETIME_S = 7_200;

export type Tokens = ReturnType<typeof createTokens>;

/** Starts with the personal access tokens of all hosts. */
export function createTokens(seed: number, hosts: readonly Host[], now: () => Micros) {
  const tokens = new Map<string, Token>();
  for (const host of hosts) {
    tokens.set(host.token, { host, scopes: null, kind: 'access', expiresAt: Infinity, ended: null });
  }
  const create = (kind: Token['kind'], host: Host, scopes: Scopes, expiresAt = Infinity) => {
    const text = `sandbox-${kind === 'access' ? 'token' : kind}-${uuidOf(seed, 501, tokens.size)}`;
    tokens.set(text, { host, scopes, kind, expiresAt, ended: null });
    return text;
  };
  const pair = (host: Host, scopes: Scopes) => ({
    token_type: 'Bearer',
    access_token: create('access', host, scopes, now() + ACCESS_LIFETIME_S * SECOND),
    refresh_token: create('refresh', host, scopes),
    expires_in: ACCESS_LIFETIME_S,
    created_at: Math.floor(now() / SECOND),
    scope: scopes?.join(' ') ?? 'default',
    owner: host.user.uri,
    organization: host.user.current_organization,
  });
  return {
    /** The owner of an access token, or why it does not work. */
    lookup(text: string): { host: Host; scopes: Scopes } | 'unknown' | Ending {
      const token = tokens.get(text);
      if (token?.kind !== 'access') return 'unknown';
      return token.ended ?? (token.expiresAt <= now() ? 'expired' : token);
    },
    /** Creates a personal access token, an OAuth pair and an authorization code. */
    grant(host: Host, scopes: Scopes) {
      const token = create('access', host, scopes);
      return { token, pair: pair(host, scopes), code: create('code', host, scopes) };
    },
    /** A code or refresh token that works: whose it is, and the exchange that uses it up. */
    findGrant(text: string) {
      const token = tokens.get(text);
      if (!token || token.kind === 'access' || token.ended !== null) return null;
      const redeem = () => {
        token.ended = 'revoked';
        return pair(token.host, token.scopes);
      };
      return { host: token.host, redeem };
    },
    /** Ends this token, or all tokens and grants of this host. @returns how many */
    end(which: string | Host, how: Ending): number {
      const ending = [...tokens].filter(([text, { host }]) => text === which || host === which);
      for (const [, token] of ending) token.ended = how;
      return ending.length;
    },
  };
}

/** The only OAuth client of the sandbox. */
export const OAUTH_CLIENT = { client_id: 'sandbox-client', client_secret: 'sandbox-client-secret' };

/** What a token request asks for. A request that is not form-encoded asks for nothing. */
export async function readTokenRequest(request: Request, tokens: Tokens) {
  const isForm = request.headers.get('content-type')?.startsWith('application/x-www-form-urlencoded');
  const form = new URLSearchParams(isForm ? await request.text() : '');
  const type = form.get('grant_type');
  const grant = tokens.findGrant(form.get(type === 'refresh_token' ? 'refresh_token' : 'code') ?? '');
  const basic = /^Basic +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  // The client identifies itself in a Basic header or in the form.
  const client = basic
    ? Buffer.from(basic, 'base64').toString()
    : `${form.get('client_id') ?? ''}:${form.get('client_secret') ?? ''}`;
  return { type, grant, isClient: client === `${OAUTH_CLIENT.client_id}:${OAUTH_CLIENT.client_secret}` };
}

/** Exchanges a grant for a token pair. Errors have the codes of OAuth. */
export function exchangeGrant(request: Awaited<ReturnType<typeof readTokenRequest>>): Response {
  const { type, grant, isClient } = request;
  const refuse = (status: number, error: string, error_description: string) =>
    Response.json({ error, error_description }, { status });
  if (!type) return refuse(400, 'invalid_request', 'grant_type is missing; send the form url-encoded.');
  if (!isClient) return refuse(401, 'invalid_client', 'The client is unknown or its secret is wrong.');
  if (type !== 'refresh_token' && type !== 'authorization_code') {
    return refuse(400, 'unsupported_grant_type', 'The grant type is not supported.');
  }
  if (!grant) return refuse(400, 'invalid_grant', 'The grant is unknown, used or revoked.');
  return Response.json(grant.redeem());
}
