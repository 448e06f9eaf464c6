/**
 * Resolves an API token to its Calendly account and the `users` row it is linked to. `/users/me` is requested once per
 * token, not once per run: the account stores the token's fingerprint, so a changed token is noticed.
 */
import { createHash } from 'node:crypto';
import type { CalendlyClient } from '../calendly/client.js';
import type { Database, Sql } from '../database/connection.js';
import {
  type Account,
  type CalendlyProfile,
  findAccountBy,
  lockLinking,
  saveAccount,
} from '../database/tables/accounts.js';
import { findUsers, insertUser, type User } from '../database/tables/users.js';
import { CalendlySyncError } from '../errors.js';

/** The account of a token; `account` is null if it is not stored yet (in a dry run). */
export interface ResolvedAccount {
  account: Account | null;
  calendlyUri: string;
  userId: string | null;
  email: string | null;
  /** Calendly has just said who the token's user is. */
  isConfirmed: boolean;
}

/** Hashes a token, to recognize it without storing it. */
export function fingerprintOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Finds the account that a token was last confirmed to belong to; null if there is none.
 * @throws CalendlySyncError `user_unknown` if `named` are other users
 */
export async function findKnownAccount(sql: Sql, token: string, named: string[]): Promise<Account | null> {
  const account = await findAccountBy(sql, 'token_fingerprint', fingerprintOf(token));
  if (account) await checkNamed(sql, account, named);
  return account;
}

/**
 * Finds the account of a token; creates and links it if needed.
 * @param options.known what `findKnownAccount` returned, if it was called
 * @param options.named the `--user` values: they select the row that a new account is linked to, and must match an
 *   existing account
 * @param options.write false changes nothing; account and user may then be null
 * @throws CalendlySyncError `user_unknown` if no `users` row matches and none can be created
 */
export async function resolveAccount(
  database: Database,
  client: CalendlyClient,
  token: string,
  { named, write, ...options }: { named: string[]; write: boolean; known?: Account | null },
): Promise<ResolvedAccount> {
  const known =
    options.known !== undefined
      ? options.known
      : await database.transaction((sql) => findKnownAccount(sql, token, named), { readOnly: true });
  if (known) {
    const { calendlyUri, userId, email } = known;
    return { account: known, calendlyUri, userId, email, isConfirmed: false };
  }
  const profile = await readProfile(client, token);
  return database.transaction(
    async (sql) => {
      // Two first syncs at the same time must not create two users.
      if (write) await lockLinking(sql);
      const linked = await findAccountBy(sql, 'calendly_uri', profile.calendlyUri);
      if (linked) await checkNamed(sql, linked, named);
      const user = linked
        ? { id: linked.userId, email: linked.email }
        : await chooseUser(sql, profile, named, write);
      const account = write && user ? await saveAccount(sql, user.id, profile) : linked;
      return {
        account,
        calendlyUri: profile.calendlyUri,
        isConfirmed: true,
        userId: user?.id ?? null,
        email: profile.email ?? user?.email ?? null,
      };
    },
    { readOnly: !write },
  );
}

/** Asks Calendly who the token's user is. */
async function readProfile(client: CalendlyClient, token: string): Promise<CalendlyProfile> {
  const { value: me } = await client.me();
  return {
    calendlyUri: me.uri,
    organizationUri: me.current_organization ?? null,
    email: me.email ?? null,
    name: me.name ?? null,
    timezone: me.timezone ?? null,
    tokenFingerprint: fingerprintOf(token),
  };
}

/**
 * Asks Calendly who the token's user is and updates the account: an e-mail, a name or an organization may change.
 * @param save runs the write
 */
export async function refreshAccount(
  client: CalendlyClient,
  token: string,
  account: Account,
  save: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>,
): Promise<Account> {
  const profile = await readProfile(client, token);
  // A token always belongs to one user; anything else is an answer to distrust.
  if (profile.calendlyUri !== account.calendlyUri) return account;
  return save((sql) => saveAccount(sql, account.userId, profile));
}

/**
 * Finds the `users` row for a Calendly user that is not linked yet: the named one, or the one with its
 * e-mail, or a new one.
 */
async function chooseUser(
  sql: Sql,
  profile: CalendlyProfile,
  named: string[],
  write: boolean,
): Promise<User | null> {
  const wanted = named[0] ?? profile.email;
  const found = wanted === null ? [] : await findUsers(sql, wanted);
  for (const other of named.slice(1)) {
    const others = await findUsers(sql, other);
    if (others.some(({ id }) => id === found[0]?.id)) continue;
    throw new CalendlySyncError(
      'user_unknown',
      `The token belongs to one user, not to ${wanted} and ${other}.`,
      {
        hint: 'Name one of them.',
      },
    );
  }
  const [user, second] = found;
  if (named.length > 0 && !user) throw noSuchUser(named[0] ?? '');
  if (user && second && user.id !== wanted) {
    throw new CalendlySyncError('user_unknown', `Several rows in users have the e-mail ${wanted}.`, {
      hint: `Name one by its id: ${found.map(({ id }) => `--user ${id}`).join(' or ')}`,
    });
  }
  if (!user) return write ? insertUser(sql, profile.email, profile.name) : null;
  const other = await findAccountBy(sql, 'user_id', user.id);
  if (other && other.calendlyUri !== profile.calendlyUri) {
    throw new CalendlySyncError(
      'user_unknown',
      `The user ${user.id} is already linked to another Calendly user (${other.email ?? other.calendlyUri}).`,
      { hint: "Set CALENDLY_TOKEN to that user's token, or name another row with --user ID-OR-EMAIL." },
    );
  }
  return user;
}

/** A token belongs to one user: naming another one is an error, never a sync of the wrong user. */
async function checkNamed(sql: Sql, account: Account, named: string[]): Promise<void> {
  for (const name of named) {
    const found = await findUsers(sql, name);
    if (found.some(({ id }) => id === account.userId)) continue;
    if (account.email?.toLowerCase() === name.toLowerCase()) continue;
    if (found.length === 0) throw noSuchUser(name);
    throw new CalendlySyncError(
      'user_unknown',
      `The token belongs to ${account.email ?? account.calendlyUri}, not to ${name}.`,
      { hint: `Omit --user ${name}, or set CALENDLY_TOKEN to that user's token.` },
    );
  }
}

/** For a `--user` that is not in the database. */
export function noSuchUser(name: string): CalendlySyncError {
  return new CalendlySyncError('user_unknown', `No row in users has the id or e-mail ${name}.`, {
    hint: 'Check the spelling, or omit --user to use or create the row with the e-mail of the Calendly user.',
  });
}
