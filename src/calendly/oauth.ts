/**
 * Calendly's OAuth server: authorization codes with PKCE, refreshed pairs, revoked tokens. A refresh token works once:
 * the pair that comes back must be stored before it is used. No error contains a token. Knows no database.
 */
import * as oauth from 'oauth4webapi';
import { type Config, retryPace } from '../config.js';
import { CalendlySyncError } from '../errors.js';
import { version } from '../version.js';
import { isLoopback, type ProxySettings } from './proxy.js';
import { createTransport, type HttpTransport } from './transport.js';

/** The settings of OAuth. */
export type OAuthConfig = Pick<Config, 'calendlyAuthUrl' | 'calendlyClientId' | 'calendlyClientSecret'> &
  ProxySettings;

/** Tokens as Calendly issues them. */
export interface TokenPair {
  accessToken: string;
  /** Works once; null if Calendly sent none. */
  refreshToken: string | null;
  /** Lifetime of the access token in seconds; null if Calendly did not say. */
  expiresIn: number | null;
  scope: string | null;
}

/** Calendly does not accept a refresh token or a code: it was used, revoked, or belongs to another application. */
export class InvalidGrantError extends Error {
  override readonly name = 'InvalidGrantError';
}

/** All methods but `authorize` throw CalendlySyncError `calendly_*` or `settings`. */
export interface OAuthClient {
  /** The address at which a user allows access, and what `exchange` needs of it. */
  authorize(redirectUri: string): Promise<Authorization>;
  /**
   * The first pair of a user.
   * @param answer the address that the browser ended on
   * @throws CalendlySyncError `usage` if it is no answer to this authorization
   */
  exchange(authorization: Authorization, answer: string): Promise<TokenPair>;
  /**
   * A new pair; the refresh token no longer works afterwards. After a network error it is tried once more: it may
   * have been used, and then the answer is lost.
   * @throws InvalidGrantError if the refresh token does not work
   */
  refresh(refreshToken: string): Promise<TokenPair>;
  /** Ends a token at Calendly. */
  revoke(token: string): Promise<void>;
}

export interface Authorization {
  url: string;
  redirectUri: string;
  state: string;
  verifier: string;
}

/** What the sync needs of a user: their events, their organization's members, and webhook subscriptions. */
const SCOPES = 'users:read organizations:read scheduled_events:read webhooks:write';
/** Two attempts end before the transaction that waits for them does, see accounts/access-token.ts. */
const TIMEOUT_MS = 12_000;

/**
 * Creates the client of the OAuth application.
 * @throws CalendlySyncError `settings` without a client id, or if the server is not reached by TLS
 */
export function createOAuthClient(config: OAuthConfig, network?: HttpTransport): OAuthClient {
  const { calendlyAuthUrl: base, calendlyClientId: id, calendlyClientSecret: secret } = config;
  const origin = new URL(base);
  if (origin.protocol !== 'https:' && !isLoopback(origin)) {
    throw new CalendlySyncError('settings', `Tokens are not sent to ${origin.origin}: it is not encrypted.`, {
      hint: 'CALENDLY_AUTH_URL must begin with https://, except for a host of this machine.',
    });
  }
  if (id === null) {
    throw new CalendlySyncError(
      'settings',
      'CALENDLY_CLIENT_ID is not set: it names your OAuth application.',
      {
        hint: 'Create one at https://developer.calendly.com, and set CALENDLY_CLIENT_ID and CALENDLY_CLIENT_SECRET.',
      },
    );
  }
  const server: oauth.AuthorizationServer = {
    issuer: base,
    authorization_endpoint: `${base}/oauth/authorize`,
    token_endpoint: `${base}/oauth/token`,
    revocation_endpoint: `${base}/oauth/revoke`,
  };
  const client: oauth.Client = { client_id: id };
  const transport = network ?? createTransport(origin, config);
  const options = () => ({
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: fetchOver(transport),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { 'user-agent': `calendly-sync/${version}` },
  });
  const authenticate = clientAuthentication(id, secret);
  return {
    async authorize(redirectUri) {
      const [state, verifier] = [oauth.generateRandomState(), oauth.generateRandomCodeVerifier()];
      const url = new URL(`${base}/oauth/authorize`);
      url.search = new URLSearchParams({
        client_id: id,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: SCOPES,
        state,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).toString();
      return { url: url.href, redirectUri, state, verifier };
    },
    async exchange({ redirectUri, state, verifier }, answer) {
      const parameters = checkAnswer(server, client, answer, state);
      return explained(async () => {
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          authenticate,
          parameters,
          redirectUri,
          verifier,
          options(),
        );
        return pairOf(await oauth.processAuthorizationCodeResponse(server, client, await checked(response)));
      }).catch((error: unknown) => {
        throw error instanceof InvalidGrantError ? badAnswer('the code was used or is too old') : error;
      });
    },
    refresh(refreshToken) {
      const once = () =>
        oauth.refreshTokenGrantRequest(server, client, authenticate, refreshToken, options());
      return explained(async () => {
        const response = await once().catch(async () => {
          await new Promise((resolve) => setTimeout(resolve, 1_000 * retryPace));
          return once();
        });
        return pairOf(await oauth.processRefreshTokenResponse(server, client, await checked(response)));
      });
    },
    revoke: (token) =>
      explained(async () => {
        const response = await oauth.revocationRequest(server, client, authenticate, token, options());
        await oauth.processRevocationResponse(await checked(response));
      }),
  };
}

/**
 * A Basic header with the id and the secret as they are. That of the library form-encodes both first, which changes a
 * hyphen, and Calendly does not decode it.
 */
function clientAuthentication(id: string, secret: string | null): oauth.ClientAuth {
  if (secret === null) return oauth.None();
  const credentials = Buffer.from(`${id}:${secret}`).toString('base64');
  return (_server, _client, _body, headers) => headers.set('authorization', `Basic ${credentials}`);
}

function fetchOver(transport: HttpTransport) {
  return async (
    url: string,
    {
      method,
      headers,
      body,
      signal,
    }: { method: string; headers: object; body?: unknown; signal?: AbortSignal },
  ): Promise<Response> => {
    const response = await transport({
      method,
      url: new URL(url),
      headers: headers as Record<string, string>,
      body: String(body),
      signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
    const reset = response.headers['x-ratelimit-reset'];
    const kept = {
      'content-type': 'application/json',
      ...(reset ? { 'x-ratelimit-reset': String(reset) } : {}),
    };
    return new Response(response.text || null, { status: response.status, headers: kept });
  };
}

/** The response, unless Calendly is in trouble or limits the rate. */
async function checked(response: Response): Promise<Response> {
  const { status, headers } = response;
  if (status !== 429 && status < 500) return response;
  const seconds = headers.get('x-ratelimit-reset');
  throw new CalendlySyncError('calendly_unreachable', `Calendly's OAuth server answered with ${status}.`, {
    hint: seconds === null ? 'Try again later.' : `Try again in ${seconds} seconds.`,
  });
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CalendlySyncError) throw error;
    // The causes of the library's errors contain tokens.
    if (error instanceof oauth.ResponseBodyError) {
      if (error.error === 'invalid_grant') throw new InvalidGrantError('invalid_grant');
      const isClient = error.error === 'invalid_client' || error.error === 'unauthorized_client';
      throw new CalendlySyncError(
        isClient ? 'settings' : 'calendly_rejected',
        `Calendly's OAuth server refused the request: ${error.error} ${error.error_description ?? ''}`.trim(),
        { hint: 'Check CALENDLY_CLIENT_ID and CALENDLY_CLIENT_SECRET.' },
      );
    }
    if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError) {
      throw new CalendlySyncError('calendly_invalid_response', `Calendly's OAuth server: ${error.message}.`, {
        hint: 'Check CALENDLY_AUTH_URL.',
      });
    }
    throw new CalendlySyncError('calendly_unreachable', "Calendly's OAuth server does not answer.", {
      hint: 'Check the network and CALENDLY_AUTH_URL; then try again.',
      cause: error,
    });
  }
}

function pairOf(answer: oauth.TokenEndpointResponse): TokenPair {
  return {
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token ?? null,
    expiresIn: answer.expires_in ?? null,
    scope: answer.scope ?? null,
  };
}

function checkAnswer(
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  answer: string,
  state: string,
): URLSearchParams {
  if (!URL.canParse(answer.trim())) throw badAnswer('it is not a URL');
  try {
    return oauth.validateAuthResponse(server, client, new URL(answer.trim()), state);
  } catch (error) {
    if (error instanceof oauth.AuthorizationResponseError)
      throw badAnswer(`access was refused (${error.error})`);
    throw badAnswer('it belongs to another authorization');
  }
}

function badAnswer(reason: string): CalendlySyncError {
  return new CalendlySyncError('usage', `That address cannot be used: ${reason}.`, {
    hint: 'Start again, and paste the whole address that the browser ended on.',
  });
}
