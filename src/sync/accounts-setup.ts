/** What a sync of many accounts needs before the first of them: whose tokens there are, and which accounts are meant. */
import type { TokenContext } from '../accounts/access-token.js';
import { requireAccount } from '../accounts/connect.js';
import { claimAccounts, releaseDead } from '../accounts/lease.js';
import { findKnownAccount, resolveAccount } from '../accounts/resolve.js';
import { sealingKey } from '../accounts/seal.js';
import {
  connectProvided,
  createTokenSource,
  type TokenProvider,
  type TokenSource,
  unparkProvided,
} from '../accounts/token-source.js';
import { createTransport, type HttpTransport } from '../calendly/transport.js';
import { persistentTransaction } from '../database/retry.js';
import { requireSchema } from '../database/schema.js';
import {
  findAccountIds,
  findConnected,
  readAccounts,
  requestFullSyncs,
} from '../database/tables/account-states.js';
import { forgetReadings } from '../database/tables/calendly-events.js';
import { createLease, type TokenOwners } from '../database/tables/leases.js';
import { activateAccount, hasTokens } from '../database/tables/tokens.js';
import { toCalendlySyncError } from '../errors.js';
import { clientOf, meetingOf, requireToken, type SyncOptions } from './options.js';
import type { UserResult } from './report.js';
import type { Target } from './sync-target.js';
import { lockedResult } from './unreached.js';

export interface AccountsOptions extends SyncOptions {
  config: SyncOptions['config'] & TokenContext['config'];
  /** Accounts at a time; 16 by default. */
  accounts?: number | undefined;
  /** Ends cleanly after so many ms; what is left is for the next call. */
  forMs?: number | undefined;
  /** The application's own tokens; without it, those of `connectAccount` and CALENDLY_TOKEN. */
  tokens?: TokenProvider | undefined;
  /** Called with the result of each account. If it throws, the sync goes on. */
  onAccount?: ((result: UserResult) => void) | undefined;
}

/** What all accounts of a call share. */
export interface Shared {
  options: AccountsOptions & { transport: HttpTransport };
  hasSyncState: boolean;
  tokens: TokenOwners;
  source: TokenSource;
}

const CHUNK = 500;

/** Checks the settings, and finds out whose tokens there are. */
export async function share(given: AccountsOptions): Promise<Shared> {
  const { database, config, tokens: provider = null } = given;
  meetingOf(given);
  // One for all accounts: they share its connections.
  const transport = given.transport ?? createTransport(new URL(config.calendlyApiUrl), config);
  const options = { ...given, transport };
  const { hasSyncState } = await database.transaction(
    async (sql) => {
      const stored = await hasTokens(sql);
      if (stored && !provider) sealingKey(config.syncKeys);
      if (!stored && !provider) requireToken(config);
      return requireSchema(sql);
    },
    { readOnly: true },
  );
  const own =
    provider || config.calendlyToken === null ? null : await ownAccount(options, config.calendlyToken);
  const context = { database, config, transport: given.transport };
  return {
    options,
    hasSyncState,
    tokens: { provided: provider !== null, ownAccountId: own?.accountId ?? null },
    source: createTokenSource(context, provider, own),
  };
}

/** The account of CALENDLY_TOKEN, which is connected with its first sync. */
async function ownAccount(options: Shared['options'], token: string) {
  const { database, dryRun = false } = options;
  const known = await database.transaction((sql) => findKnownAccount(sql, token, []), { readOnly: true });
  const { account } = await resolveAccount(database, clientOf(options, token), token, {
    known,
    named: [],
    write: !dryRun,
  });
  if (account === null) return null;
  if (!dryRun)
    await persistentTransaction(database, async (sql) => {
      await createLease(sql, account.id);
      if (!known) await activateAccount(sql, account.id);
    });
  return { token, accountId: account.id };
}

/** Connects users of the application who are not connected yet, and tries those again that have a new token. */
export async function provide({ options }: Shared, provider: TokenProvider): Promise<void> {
  const { database } = options;
  const connect = async (userIds: string[]) => {
    const known = await database.transaction((sql) => findConnected(sql, userIds), { readOnly: true });
    for (const userId of userIds.filter((id) => !known.has(id))) {
      try {
        await connectProvided(database, provider, userId, (token) => clientOf(options, token));
      } catch (error) {
        const text = `The user ${userId} is not connected: ${toCalendlySyncError(error).message}`;
        options.onEvent?.({ type: 'warning', email: null, text });
      }
    }
  };
  const chunk: string[] = [];
  for await (const { userId } of (await provider.list?.()) ?? []) {
    chunk.push(String(userId));
    if (chunk.length === CHUNK) await connect(chunk.splice(0));
  }
  await connect(chunk);
  await unparkProvided(database, provider);
}

export async function idsOf({ options }: Shared, named: string[]): Promise<string[]> {
  const { database, tokens: provider } = options;
  const ids: string[] = [];
  for (const name of named) {
    const find = database.transaction((sql) => requireAccount(sql, name), { readOnly: true });
    const id = await find.then(
      (account) => account.id,
      async (error: unknown) => {
        if (!provider || options.dryRun) throw error;
        return connectProvided(database, provider, name, (token) => clientOf(options, token));
      },
    );
    ids.push(id);
  }
  return [...new Set(ids)];
}

/** Requests a full sync of these accounts, or of all. */
export async function requestAgain(
  { options, hasSyncState, tokens }: Shared,
  ids: string[] | null,
): Promise<void> {
  const { database, full, reread } = options;
  for (let after = '0'; ; ) {
    const chunk =
      ids ?? (await database.transaction((sql) => findAccountIds(sql, { after, limit: CHUNK, tokens })));
    const last = chunk.at(-1);
    if (last === undefined) return;
    await persistentTransaction(database, async (sql) => {
      const userIds = (await readAccounts(sql, chunk)).map(({ account }) => account.userId);
      if (full && hasSyncState) await requestFullSyncs(sql, userIds);
      if (reread) for (const userId of userIds) await forgetReadings(sql, userId);
    });
    if (ids) return;
    after = last;
  }
}

/** Takes accounts by name, whether or not they are due; in a dry run without claiming them. Null ids: all. */
export function takeNamed(shared: Shared, ids: string[] | null, report: (result: UserResult) => void) {
  const { options, hasSyncState, tokens } = shared;
  const { database, dryRun } = options;
  const left = [...(ids ?? [])];
  let after = '0';
  return async (free: number): Promise<Target[] | null> => {
    const chunk = ids
      ? left.splice(0, free)
      : await database.transaction((sql) => findAccountIds(sql, { after, limit: free, tokens }));
    after = chunk.at(-1) ?? after;
    if (chunk.length === 0) return null;
    const known = await persistentTransaction(database, async (sql) => {
      if (!dryRun) for (const id of chunk) await createLease(sql, id);
      return readAccounts(sql, chunk);
    });
    if (dryRun) return known.map((one) => ({ ...one, claim: null }));
    await releaseDead(database);
    const claims = await claimAccounts(database, { accountIds: chunk }, hasSyncState);
    const taken = new Set(claims.map(({ account }) => account.id));
    for (const { account, owner } of known) if (!taken.has(account.id)) report(lockedResult(account, owner));
    return claims.map((claim) => ({ ...claim, claim }));
  };
}
