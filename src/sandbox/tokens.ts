/**
 * Who may ask: personal access tokens, and OAuth pairs whose refresh token works once. Knows no HTTP.
 */
import { uuidOf } from './identifiers.js';
import type { Micros } from './microseconds.js';
import type { Host } from './people.js';

/** What a token may do: everything, or the scopes named. */
export type Scopes = readonly string[] | null;

/** A token's state when somebody uses it. */
type Lookup = { state: 'valid'; host: Host; scopes: Scopes } | { state: 'unknown' | 'expired' | 'revoked' };

/** A pair as `/oauth/token` answers it. */
export interface TokenPair {
  token_type: 'Bearer';
  access_token: string;
  refresh_token: string;
  expires_in: number;
  created_at: number;
  scope: string;
  owner: string;
  organization: string;
}

export interface Tokens {
  lookup(token: string): Lookup;
  /** Makes one more personal access token. */
  personal(host: Host, scopes: Scopes): string;
  /** Makes an OAuth pair, as an authorization would. */
  pair(host: Host, scopes: Scopes): TokenPair;
  /** A one-time authorization code for a pair. */
  code(host: Host, scopes: Scopes): string;
  /** Whose a code or refresh token is, without using it; null when it does not work. */
  ownerOf(grant: string): Host | null;
  /** Uses up a code or refresh token; null when it does not work (any more). */
  redeem(grant: string): TokenPair | null;
  /** Makes a token stop working; false when it is unknown. */
  end(token: string, how: 'expired' | 'revoked'): boolean;
  /** Makes all tokens of a host stop working, grants included; answers how many. */
  endAll(host: Host, how: 'expired' | 'revoked'): number;
}

/** Life of an OAuth access token in seconds. */
const ACCESS_LIFETIME_S = 7_200;

interface Entry {
  host: Host;
  scopes: Scopes;
  kind: 'access' | 'refresh' | 'code';
  expiresAt: Micros | null;
  ended: 'expired' | 'revoked' | null;
}

/** Knows the personal tokens of all hosts from the start. */
export function createTokens(seed: number, hosts: readonly Host[], now: () => Micros): Tokens {
  const entries = new Map<string, Entry>();
  let counter = 0;
  const make = (
    prefix: string,
    host: Host,
    scopes: Scopes,
    kind: Entry['kind'],
    expiresAt: Micros | null,
  ) => {
    const token = `sandbox-${prefix}-${uuidOf(seed, 501, counter++)}`;
    entries.set(token, { host, scopes, kind, expiresAt, ended: null });
    return token;
  };
  for (const host of hosts) {
    entries.set(host.token, { host, scopes: null, kind: 'access', expiresAt: null, ended: null });
  }
  const usable = (token: string, ...kinds: Entry['kind'][]) => {
    const entry = entries.get(token);
    return entry && kinds.includes(entry.kind) && entry.ended === null ? entry : null;
  };
  const pair = (host: Host, scopes: Scopes): TokenPair => ({
    token_type: 'Bearer',
    access_token: make('token', host, scopes, 'access', now() + ACCESS_LIFETIME_S * 1_000_000),
    refresh_token: make('refresh', host, scopes, 'refresh', null),
    expires_in: ACCESS_LIFETIME_S,
    created_at: Math.floor(now() / 1_000_000),
    scope: scopes?.join(' ') ?? 'default',
    owner: host.user.uri,
    organization: host.user.current_organization,
  });

  return {
    lookup(token) {
      const entry = entries.get(token);
      if (entry?.kind !== 'access') return { state: 'unknown' };
      if (entry.ended !== null) return { state: entry.ended };
      if (entry.expiresAt !== null && entry.expiresAt <= now()) return { state: 'expired' };
      return { state: 'valid', host: entry.host, scopes: entry.scopes };
    },
    personal: (host, scopes) => make('token', host, scopes, 'access', null),
    pair,
    code: (host, scopes) => make('code', host, scopes, 'code', null),
    ownerOf: (grant) => usable(grant, 'refresh', 'code')?.host ?? null,
    redeem(grant) {
      const entry = usable(grant, 'refresh', 'code');
      if (!entry) return null;
      entry.ended = 'revoked';
      return pair(entry.host, entry.scopes);
    },
    end(token, how) {
      const entry = entries.get(token);
      if (entry) entry.ended = how;
      return entry !== undefined;
    },
    endAll(host, how) {
      const own = [...entries.values()].filter((entry) => entry.host === host);
      for (const entry of own) entry.ended = how;
      return own.length;
    },
  };
}
