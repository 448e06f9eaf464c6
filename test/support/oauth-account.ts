/** An account of a sandbox whose OAuth pair is stored. */
import { sealPair, type TokenContext } from '../../src/accounts/access-token.js';
import { saveTokens } from '../../src/database/tables/tokens.js';
import { connectedAccount } from './connected-account.js';

export const KEY_A = Buffer.alloc(32, 1).toString('base64');
export const KEY_B = Buffer.alloc(32, 2).toString('base64');

/** The settings of OAuth at a sandbox, with one key. */
export function oauthConfig(url: string, client: { client_id: string; client_secret: string }) {
  return {
    syncKeys: [KEY_A],
    calendlyApiUrl: url,
    calendlyAuthUrl: url,
    calendlyClientId: client.client_id,
    calendlyClientSecret: client.client_secret,
  };
}

/** Connects a host with an OAuth pair whose access token has ended here. */
export async function oauthAccount(...args: Parameters<typeof connectedAccount>) {
  const account = await connectedAccount(...args);
  const { sandbox, database, accountId, sql } = account;
  const { pair } = sandbox.control.grant({ host: args[0] ?? 0 });
  const config = oauthConfig(sandbox.url, sandbox.client);
  const context: TokenContext = { database, config };
  const uri = sandbox.hosts[args[0] ?? 0]?.uri ?? '';
  const tokens = {
    accessToken: pair.access_token,
    refreshToken: pair.refresh_token,
    expiresIn: 7_200,
    scope: null,
  };
  await database.transaction((sql) =>
    saveTokens(sql, accountId, 'oauth', sealPair(config.syncKeys, uri, tokens)),
  );
  /** Lets the stored access token end. */
  const expire = () => sql`update calendly_tokens set expires_at = now()`;
  await expire();
  /** Token requests so far, and how many of them were refused. */
  const requests = () => {
    const all = sandbox.requests().filter(({ path }) => path === '/oauth/token');
    return { sent: all.length, refused: all.filter(({ status }) => status !== 200).length };
  };
  return { ...account, config, context, uri, pair, expire, requests };
}
