/**
 * Valid access tokens of connected accounts. A refresh token works once, so exactly one process refreshes a pair: it
 * holds the row's lock for the length of the request and stores the new pair before anybody uses it. The lease of a
 * sync plays no part in that: a pair that arrives late is still the only one that works.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createOAuthClient, InvalidGrantError, type OAuthConfig, type TokenPair } from '../calendly/oauth.js';
import type { HttpTransport } from '../calendly/transport.js';
import { type Config, retryPace } from '../config.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import {
  lockTokens,
  parkAccount,
  readTokens,
  replaceTokens,
  type SealedTokens,
  type StoredTokens,
} from '../database/tables/tokens.js';
import { CalendlySyncError } from '../errors.js';
import { open, seal } from './seal.js';

/** What tokens are read, decrypted and refreshed with. */
export interface TokenContext {
  database: Database;
  config: OAuthConfig & Pick<Config, 'syncKeys'>;
  /** Replaces the network, for tests. */
  transport?: HttpTransport | undefined;
}

export interface AccessTokenOptions {
  /** How long the token must still be valid, in ms; 5 minutes by default, less while Calendly refreshes none. */
  minValidMs?: number | undefined;
  /** A token that Calendly has refused (401): only another one will do. */
  refused?: string | undefined;
  /** What the caller has just read of the account, to save the first query. */
  stored?: StoredTokens | undefined;
}

const MIN_VALID_MS = 300_000;
/** Enough while Calendly's OAuth server is in trouble. */
const MIN_USABLE_MS = 30_000;
/** After `invalid_grant`, how long the pair of another process may take to arrive. */
const SETTLE_MS = 2_000;
/** Refreshes at a time in this process: each keeps a connection, and a slow OAuth server must not take them all. */
const MAX_REFRESHES = 2;
let refreshes = 0;
const queue: (() => void)[] = [];

/**
 * Returns an access token of an account, refreshed if it ends soon.
 * @throws CalendlySyncError `needs_reconnect` if its token no longer works, `settings` without its key, `calendly_*`,
 * `database_*`, `locked`
 */
export async function accessTokenOf(
  context: TokenContext,
  accountId: string,
  { minValidMs = MIN_VALID_MS, refused, stored }: AccessTokenOptions = {},
): Promise<string> {
  const { database, config } = context;
  const known =
    stored ?? (await database.transaction((sql) => readTokens(sql, accountId), { readOnly: true }));
  if (known === null) throw notConnected();
  if (known.state !== 'active') throw needsReconnect(known, null);
  const find: FindToken = (tokens, enoughMs = MIN_USABLE_MS) => {
    if (tokens.validMs !== null && tokens.validMs < enoughMs) return null;
    const token = open(config.syncKeys, { field: 'access', calendlyUri: tokens.calendlyUri }, tokens.access);
    return token === refused ? null : token;
  };
  const token = find(known, minValidMs);
  if (token !== null) return token;
  if (known.refresh === null) return giveUp(context, known, find);
  // What another caller has refreshed in the meantime is as good as it gets.
  const enough = ({ generation }: StoredTokens) =>
    generation === known.generation ? minValidMs : Math.min(minValidMs, MIN_VALID_MS);
  return inTurn(() => refresh(context, accountId, (tokens, ms = enough(tokens)) => find(tokens, ms)));
}

/** Seals a pair for the row of an account. */
export function sealPair(keys: readonly string[], calendlyUri: string, pair: TokenPair): SealedTokens {
  const { accessToken, refreshToken, expiresIn, scope } = pair;
  return {
    access: seal(keys, { field: 'access', calendlyUri }, accessToken),
    refresh: refreshToken === null ? null : seal(keys, { field: 'refresh', calendlyUri }, refreshToken),
    expiresIn,
    scope,
  };
}

/** The access token among stored tokens, if it is valid for long enough and not the one that was refused. */
type FindToken = (tokens: StoredTokens, enoughMs?: number) => string | null;

/** A request for a new pair. */
interface Refresh {
  replaced: StoredTokens;
  answer: Promise<TokenPair>;
}

async function refresh(context: TokenContext, accountId: string, find: FindToken): Promise<string> {
  const { database, config, transport } = context;
  const client = createOAuthClient(config, transport);
  // It outlives the transaction: if the connection is lost meanwhile, the answer must be stored all the same.
  const sent: { refresh: Refresh | null } = { refresh: null };
  try {
    return await database.transaction(async (sql) => {
      const tokens = await lockTokens(sql, accountId);
      if (tokens === null || tokens.refresh === null) throw notConnected();
      if (tokens.state !== 'active') throw needsReconnect(tokens, null);
      const token = find(tokens);
      if (token !== null) return token;
      const refreshToken = open(
        config.syncKeys,
        { field: 'refresh', calendlyUri: tokens.calendlyUri },
        tokens.refresh,
      );
      sent.refresh = { replaced: tokens, answer: client.refresh(refreshToken) };
      const pair = await sent.refresh.answer;
      await replaceTokens(sql, tokens, sealPair(config.syncKeys, tokens.calendlyUri, pair));
      return pair.accessToken;
    });
  } catch (error) {
    if (sent.refresh === null) throw error;
    return finish(context, sent.refresh, find);
  }
}

/** After a failed transaction: stores the pair if there is one, else finds out who has it. */
async function finish(
  context: TokenContext,
  { replaced, answer }: Refresh,
  find: FindToken,
): Promise<string> {
  const { database, config } = context;
  let pair: TokenPair;
  try {
    pair = await answer;
  } catch (error) {
    if (!(error instanceof InvalidGrantError)) {
      const current = find(replaced, MIN_USABLE_MS);
      if (current !== null) return current;
      throw error;
    }
    // Another process may have been faster, and lost its connection before it could store the pair.
    await sleep(SETTLE_MS * retryPace);
    return giveUp(context, replaced, find);
  }
  const sealed = sealPair(config.syncKeys, replaced.calendlyUri, pair);
  await persistentTransaction(database, (sql) => replaceTokens(sql, replaced, sealed));
  return pair.accessToken;
}

/** Parks an account whose tokens do not work, unless they have been replaced in the meantime. */
async function giveUp({ database }: TokenContext, tokens: StoredTokens, find: FindToken): Promise<string> {
  const { accountId, generation, kind } = tokens;
  const reason = kind === 'oauth' ? 'invalid_grant' : 'unauthorized';
  const now = await persistentTransaction(database, async (sql) => {
    await parkAccount(sql, accountId, { state: 'needs_reconnect', reason, generation });
    return readTokens(sql, accountId);
  });
  const token = now === null || now.state !== 'active' ? null : find(now);
  if (token !== null) return token;
  throw needsReconnect(tokens, reason);
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (refreshes >= MAX_REFRESHES) await new Promise<void>((resolve) => queue.push(resolve));
  else refreshes++;
  try {
    return await work();
  } finally {
    // The place goes to the next in the queue, or is given up.
    const next = queue.shift();
    if (next) next();
    else refreshes--;
  }
}

function notConnected(): CalendlySyncError {
  return new CalendlySyncError('needs_reconnect', 'The account has no stored token.', {
    hint: 'Connect it: calendly-sync account connect',
  });
}

function needsReconnect({ kind, calendlyUri }: StoredTokens, reason: string | null): CalendlySyncError {
  const cause = kind === 'oauth' ? 'its refresh token no longer works' : 'its token no longer works';
  return new CalendlySyncError(
    'needs_reconnect',
    `The Calendly account ${calendlyUri} must be connected again: ${cause}${reason ? ` (${reason})` : ''}.`,
    {
      hint:
        'Run: calendly-sync account connect' +
        (kind === 'oauth'
          ? '\nA refresh token works once. A program that still uses it itself must ask getAccessToken() instead.'
          : ''),
    },
  );
}
