/**
 * Where the token of a claimed account comes from: CALENDLY_TOKEN, the stored tokens, or the application itself. One
 * function for all three, so that a sync does not know the difference.
 */
import type { CalendlyClient } from '../calendly/client.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { findParked, parkWithToken } from '../database/tables/account-states.js';
import { type Claim, createLease } from '../database/tables/leases.js';
import { activateAccount } from '../database/tables/tokens.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError } from '../errors.js';
import { accessTokenOf, type TokenContext } from './access-token.js';
import { fingerprintOf, resolveAccount } from './resolve.js';

/** The application's own tokens: it refreshes them, and this tool never sees a refresh token. */
export interface TokenProvider {
  /**
   * A token of this user that is valid for so long. `minValidMs` is Infinity after Calendly has refused the last one.
   * `calendlyUri` is null for a user who is not connected yet.
   */
  get(wanted: {
    userId: UserId;
    calendlyUri: string | null;
    minValidMs: number;
  }): Promise<{ accessToken: string; expiresAt?: Date | string | null }>;
  /** The users who have a token; without it, those that are connected already. */
  list?(): AsyncIterable<{ userId: UserId }> | Promise<Iterable<{ userId: UserId }>>;
}

/** A valid token of an account. @param refused one that Calendly has refused (401): only another one will do */
export type TokenSource = (claim: Pick<Claim, 'account' | 'tokens'>, refused?: string) => Promise<string>;

/** A token must be valid for as long as a run may use it before it asks for another one. */
const MIN_VALID_MS = 300_000;

/** @param own the token of CALENDLY_TOKEN, and its account */
export function createTokenSource(
  context: TokenContext,
  provider: TokenProvider | null,
  own: { token: string; accountId: string } | null,
): TokenSource {
  return async ({ account, tokens }, refused) => {
    const { id, userId, calendlyUri } = account;
    if (own?.accountId === id) {
      if (refused === undefined) return own.token;
      throw refusedToken();
    }
    if (!provider) return accessTokenOf(context, id, { refused, stored: tokens ?? undefined });
    const minValidMs = refused === undefined ? MIN_VALID_MS : Number.POSITIVE_INFINITY;
    const { accessToken } = await provider.get({ userId: userIdForJson(userId), calendlyUri, minValidMs });
    if (accessToken !== refused) return accessToken;
    await persistentTransaction(context.database, (sql) =>
      parkWithToken(sql, id, fingerprintOf(accessToken)),
    );
    throw new CalendlySyncError('needs_reconnect', 'Calendly does not accept the token of this account.', {
      hint: 'It is tried again when the application provides another one.',
    });
  };
}

function refusedToken(): CalendlySyncError {
  return new CalendlySyncError('calendly_unauthorized', 'Calendly does not accept CALENDLY_TOKEN (401).', {
    hint: 'The token is wrong, expired or revoked. Create a new one and set CALENDLY_TOKEN.',
  });
}

/** Makes parked accounts due whose application provides another token than the one that was refused. */
export async function unparkProvided(database: Database, provider: TokenProvider): Promise<void> {
  const parked = await database.transaction(findParked, { readOnly: true });
  for (const { id, userId, calendlyUri, fingerprint } of parked) {
    const wanted = { userId: userIdForJson(userId), calendlyUri, minValidMs: MIN_VALID_MS };
    const answer = await provider.get(wanted).catch(() => null);
    if (answer === null || fingerprintOf(answer.accessToken) === fingerprint) continue;
    await persistentTransaction(database, (sql) => activateAccount(sql, id));
  }
}

/** Connects a user of the application who has a token and no account yet. @returns the id of the account */
export async function connectProvided(
  database: Database,
  provider: TokenProvider,
  userId: string,
  clientOf: (token: string) => CalendlyClient,
): Promise<string> {
  const wanted = { userId: userIdForJson(userId), calendlyUri: null, minValidMs: MIN_VALID_MS };
  const { accessToken } = await provider.get(wanted);
  const named = { named: [userId], write: true, known: null };
  const { account } = await resolveAccount(database, clientOf(accessToken), accessToken, named);
  if (account === null) throw new Error('a resolved account was not stored');
  await persistentTransaction(database, (sql) => createLease(sql, account.id));
  return account.id;
}
