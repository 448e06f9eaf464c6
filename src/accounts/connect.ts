/**
 * Connects a Calendly user for good: their tokens are stored, encrypted, and from then on only this tool refreshes
 * them. Disconnecting gives everything back that Calendly knows of us. Knows no sync.
 */
import { createCalendlyClient } from '../calendly/client.js';
import { createOAuthClient, InvalidGrantError, type TokenPair } from '../calendly/oauth.js';
import type { ProxySettings } from '../calendly/proxy.js';
import type { Config } from '../config.js';
import type { Sql } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import { type Account, findAccountBy, saveSubscription } from '../database/tables/accounts.js';
import { deleteTokens, lockTokens, parkAccount, saveTokens } from '../database/tables/tokens.js';
import { findUsers, refreshWebhookEnabled } from '../database/tables/users.js';
import { type UserId, userIdForJson } from '../database/user-id.js';
import { CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { accessTokenOf, sealPair, type TokenContext } from './access-token.js';
import { noSuchUser, resolveAccount } from './resolve.js';
import { open, sealingKey } from './seal.js';

/** The database, the settings, and how to stop. */
export interface AccountOptions extends TokenContext {
  config: TokenContext['config'] & Pick<Config, 'calendlyApiUrl'> & ProxySettings;
  signal?: AbortSignal | undefined;
}

/** What a user brings: a personal access token, or an OAuth pair that nobody else refreshes from now on. */
export type ConnectTokens =
  | { personalToken: string }
  | {
      refreshToken: string;
      /** If it is still valid, a failure before the tokens are stored leaves the pair as it is. */
      accessToken?: string | undefined;
    };

export interface ConnectOptions extends AccountOptions {
  /** `users.id` or e-mail of the row to link; without it the row with the Calendly user's e-mail, or a new one. */
  userId?: UserId | undefined;
  tokens: ConnectTokens;
}

/** A connected account. */
export interface ConnectedAccount {
  accountId: string;
  userId: UserId;
  calendlyUri: string;
  email: string | null;
}

/**
 * Stores the tokens of a Calendly user and makes their account due. An account that was parked is active again. An
 * OAuth pair is refreshed at once: a copy that another program still uses fails there and then, not at night.
 * @throws CalendlySyncError `settings` without CALENDLY_SYNC_KEY, `user_unknown`, `needs_reconnect` if the refresh
 * token does not work, `schema_not_ready`, `calendly_*`, `database_*`
 */
export async function connectAccount(options: ConnectOptions): Promise<ConnectedAccount> {
  const { database, config, userId, tokens, transport } = options;
  sealingKey(config.syncKeys);
  const named = userId === undefined ? [] : [String(userId)];
  // Before a refresh token is used up.
  await database.transaction(
    async (sql) => {
      await requireSchema(sql);
      for (const name of named) if ((await findUsers(sql, name)).length === 0) throw noSuchUser(name);
    },
    { readOnly: true },
  );
  const pair = await firstPair(options);
  const client = clientFor(options, pair.accessToken);
  const { account } = await resolveAccount(database, client, pair.accessToken, {
    named,
    write: true,
    known: null,
  });
  if (account === null) throw new Error('a resolved account was not stored');
  await persistentTransaction(database, async (sql) => {
    // A refresh of an earlier connection may be in progress.
    await lockTokens(sql, account.id);
    const kind = 'personalToken' in tokens ? 'personal' : 'oauth';
    await saveTokens(sql, account.id, kind, sealPair(config.syncKeys, account.calendlyUri, pair));
  });
  if ('accessToken' in tokens && tokens.accessToken !== undefined)
    await accessTokenOf({ database, config, transport }, account.id, { refused: tokens.accessToken });
  const { id: accountId, calendlyUri, email } = account;
  return { accountId, userId: userIdForJson(account.userId), calendlyUri, email };
}

async function firstPair({ config, tokens, transport }: ConnectOptions): Promise<TokenPair> {
  if ('personalToken' in tokens)
    return { accessToken: tokens.personalToken, refreshToken: null, expiresIn: null, scope: null };
  const { accessToken, refreshToken } = tokens;
  if (accessToken !== undefined) return { accessToken, refreshToken, expiresIn: 0, scope: null };
  try {
    return await createOAuthClient(config, transport).refresh(refreshToken);
  } catch (error) {
    if (!(error instanceof InvalidGrantError)) throw error;
    throw new CalendlySyncError('needs_reconnect', 'The refresh token no longer works (invalid_grant).', {
      hint: 'It works once: another program has used it, or it was revoked. Let the user allow access again.',
    });
  }
}

export interface GetAccessTokenOptions extends TokenContext {
  /** `users.id` or e-mail. */
  userId: UserId;
  /** How long the token must still be valid, in ms; 60,000 by default. */
  minValidMs?: number | undefined;
}

/**
 * Returns a valid access token of a connected user, refreshed if it ends soon. Call it for each use: do not keep it.
 * @throws CalendlySyncError `needs_reconnect` if there is none and only the user can help, `user_unknown`,
 * `settings` without the key, `calendly_*`, `database_*`
 */
export async function getAccessToken(options: GetAccessTokenOptions): Promise<string> {
  const { database, userId, minValidMs = 60_000 } = options;
  const account = await database.transaction((sql) => requireAccount(sql, userId), { readOnly: true });
  return accessTokenOf(options, account.id, { minValidMs });
}

/** What disconnecting did. */
export interface Disconnected {
  accountId: string;
  email: string | null;
  /** The OAuth pair was revoked at Calendly. A personal access token can only be revoked there. */
  revoked: boolean;
  /** The webhook subscription that was removed at Calendly. */
  subscription: string | null;
  /** What could not be undone at Calendly. */
  problems: string[];
}

/**
 * Ends the connection of a user: removes our webhook subscription, revokes an OAuth pair, deletes the tokens and parks
 * the account. The meetings stay. What Calendly refuses is reported, and the tokens are deleted all the same.
 * @throws CalendlySyncError `user_unknown`, `database_*`, `locked`
 */
export async function disconnectAccount(options: AccountOptions & { userId: UserId }): Promise<Disconnected> {
  const { database, config, transport, userId } = options;
  const { account, hasSyncState } = await database.transaction(
    async (sql) => ({ ...(await requireSchema(sql)), account: await requireAccount(sql, userId) }),
    { readOnly: true },
  );
  const { id: accountId, email, subscriptionUri } = account;
  const problems: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      return true;
    } catch (error) {
      options.signal?.throwIfAborted();
      problems.push(toCalendlySyncError(error).message);
      return false;
    }
  };
  const isRemoved =
    subscriptionUri !== null &&
    (await attempt(async () => {
      const token = await accessTokenOf(options, accountId);
      await clientFor(options, token).subscriptions.remove(subscriptionUri);
    }));
  // The pair is revoked while it is locked, so that no refresh creates one that is left over.
  const revoked = await persistentTransaction(database, async (sql) => {
    const tokens = await lockTokens(sql, accountId);
    const isRevoked = tokens?.refresh && (await attempt(() => revoke(tokens.calendlyUri, tokens.refresh)));
    await deleteTokens(sql, accountId);
    await parkAccount(sql, accountId, { state: 'disconnected', reason: null });
    if (isRemoved) await saveSubscription(sql, accountId, null);
    if (hasSyncState) await refreshWebhookEnabled(sql);
    return isRevoked === true;
  });
  return { accountId, email, revoked, subscription: isRemoved ? subscriptionUri : null, problems };

  async function revoke(calendlyUri: string, refresh: Buffer | null) {
    if (refresh === null) return;
    const token = open(config.syncKeys, { field: 'refresh', calendlyUri }, refresh);
    await createOAuthClient(config, transport).revoke(token);
  }
}

/**
 * The account that is linked to a user.
 * @param userId `users.id` or e-mail
 * @throws CalendlySyncError `user_unknown`
 */
export async function requireAccount(sql: Sql, userId: UserId): Promise<Account> {
  for (const { id } of await findUsers(sql, String(userId))) {
    const account = await findAccountBy(sql, 'user_id', id);
    if (account) return account;
  }
  throw new CalendlySyncError('user_unknown', `No Calendly account is connected for the user ${userId}.`, {
    hint: 'See: calendly-sync account list',
  });
}

function clientFor({ config, signal, transport }: AccountOptions, token: string) {
  return createCalendlyClient({ baseUrl: config.calendlyApiUrl, token, proxies: config, signal, transport });
}
