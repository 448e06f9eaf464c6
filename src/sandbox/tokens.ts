/** Access tokens, and OAuth pairs whose refresh token works once. Knows no HTTP. */
import type { Host } from './organization.js';
import { type Random, uuidBy } from './random.js';
import { type Micros, SECOND } from './time.js';

export type Scopes = readonly string[] | null;
type Ending = 'expired' | 'revoked';

interface Token {
  host: Host;
  scopes: Scopes;
  kind: 'token' | 'refresh' | 'code';
  expiresAt: Micros;
  ended: Ending | null;
}

const ACCESS_LIFETIME_S = 7_200;

/** Starts with the personal access tokens of all hosts. */
export function createTokens(random: Random, hosts: readonly Host[], now: () => Micros) {
  const tokens = new Map<string, Token>();
  const create = (kind: Token['kind'], host: Host, scopes: Scopes, expiresAt = Infinity, text?: string) => {
    const token = text ?? `sandbox-${kind}-${uuidBy(random)}`;
    tokens.set(token, { host, scopes, kind, expiresAt, ended: null });
    return token;
  };
  for (const host of hosts) create('token', host, null, Infinity, host.token);
  const pair = (host: Host, scopes: Scopes) => ({
    token_type: 'Bearer',
    access_token: create('token', host, scopes, now() + ACCESS_LIFETIME_S * SECOND),
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
      if (token?.kind !== 'token') return 'unknown';
      return token.ended ?? (token.expiresAt <= now() ? 'expired' : token);
    },
    /** Creates a personal access token, an OAuth pair and an authorization code. */
    grant(host: Host, scopes: Scopes) {
      const token = create('token', host, scopes);
      return { token, pair: pair(host, scopes), code: create('code', host, scopes) };
    },
    /** A code or refresh token that works: whose it is, and the exchange that uses it up. */
    findGrant(text: string) {
      const token = tokens.get(text);
      if (!token || token.kind === 'token' || token.ended !== null) return null;
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
