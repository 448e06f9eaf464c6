/** Access tokens, and OAuth pairs whose refresh token works once. Knows no HTTP. */
import { uuidOf } from './ids.js';
import type { Host } from './people.js';
import { type Micros, SECOND } from './time.js';

/** What a token may do: everything (null), or what these scopes allow. */
export type Scopes = readonly string[] | null;

export type Tokens = ReturnType<typeof createTokens>;

/** How a token stops working. */
type Ending = 'expired' | 'revoked';

interface Token {
  host: Host;
  scopes: Scopes;
  kind: 'access' | 'refresh' | 'code';
  expiresAt: Micros;
  ended: Ending | null;
}

const ACCESS_LIFETIME_S = 7_200;

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
  const grantOf = (text: string) => {
    const token = tokens.get(text);
    return token && token.kind !== 'access' && token.ended === null ? token : null;
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
      if (token.ended !== null) return token.ended;
      return token.expiresAt <= now() ? 'expired' : { host: token.host, scopes: token.scopes };
    },
    /** Creates one more personal access token. */
    personal: (host: Host, scopes: Scopes) => create('access', host, scopes),
    /** Creates an OAuth pair. */
    pair,
    /** Creates a one-time authorization code. */
    code: (host: Host, scopes: Scopes) => create('code', host, scopes),
    /** The owner of a code or refresh token, without using it up; null when it does not work. */
    ownerOf: (grant: string): Host | null => grantOf(grant)?.host ?? null,
    /** Uses up a code or refresh token; null when it does not work. */
    redeem(grant: string) {
      const token = grantOf(grant);
      if (!token) return null;
      token.ended = 'revoked';
      return pair(token.host, token.scopes);
    },
    /** Ends one token; false when it is unknown. */
    end(text: string, how: Ending): boolean {
      const token = tokens.get(text);
      if (token) token.ended = how;
      return token !== undefined;
    },
    /** Ends all tokens and grants of a host. @returns how many */
    endAll(host: Host, how: Ending): number {
      const own = [...tokens.values()].filter((token) => token.host === host);
      for (const token of own) token.ended = how;
      return own.length;
    },
  };
}
