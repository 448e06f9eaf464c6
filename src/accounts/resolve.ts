/**
 * Whose token it is and which `users` row it belongs to. `/users/me` is asked once per token, not once per run: the account
 * remembers the token's fingerprint, so that a changed token is asked about again.
 */
import { createHash } from 'node:crypto';
import type { CalendlyClient } from '../calendly/client.js';
import type { Database, Sql } from '../database/connection.js';
import {
  type Account,
  findAccountBy,
  type Identity,
  lockLinking,
  saveAccount,
} from '../database/tables/accounts.js';
import { findUsers, insertUser, type User } from '../database/tables/users.js';
import { CalendlySyncError } from '../errors.js';

/** Which account a token stands for. Without `account`, nothing of it is stored yet (a dry run). */
export interface ResolvedAccount {
  account: Account | null;
  calendlyUri: string;
  userId: string | null;
  email: string | null;
}

/** What is stored of a token, to know it again; never the token. */
export function fingerprintOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Finds the account of a token, and makes and links it where needed.
 * @param named the `--user` values; they choose the row that a new account is linked to, and must fit a known one
 * @param write false changes nothing: the answer may then lack account and user
 * @throws CalendlySyncError `user_unknown` when no `users` row fits and none can be made
 */
export async function resolveAccount(
  database: Database,
  client: CalendlyClient,
  token: string,
  named: string[],
  write: boolean,
): Promise<ResolvedAccount> {
  const tokenFingerprint = fingerprintOf(token);
  const known = await database.transaction(
    (sql) => findAccountBy(sql, 'token_fingerprint', tokenFingerprint),
    {
      readOnly: true,
    },
  );
  if (known) {
    await database.transaction((sql) => checkNamed(sql, known, named), { readOnly: true });
    return { account: known, calendlyUri: known.calendlyUri, userId: known.userId, email: known.email };
  }
  const { value: me } = await client.me();
  const identity: Identity = {
    calendlyUri: me.uri,
    organizationUri: me.current_organization ?? null,
    email: me.email ?? null,
    name: me.name ?? null,
    timezone: me.timezone ?? null,
    tokenFingerprint,
  };
  return database.transaction(
    async (sql) => {
      // Two first syncs at once must not make two users.
      if (write) await lockLinking(sql);
      const linked = await findAccountBy(sql, 'calendly_uri', me.uri);
      if (linked) await checkNamed(sql, linked, named);
      const user = linked
        ? { id: linked.userId, email: linked.email }
        : await chooseUser(sql, identity, named, write);
      const account = write && user ? await saveAccount(sql, user.id, identity) : linked;
      return {
        account,
        calendlyUri: me.uri,
        userId: user?.id ?? null,
        email: identity.email ?? user?.email ?? null,
      };
    },
    { readOnly: !write },
  );
}

/** The `users` row for a Calendly user that is not linked yet: the named one, else the one with its e-mail, else a new one. */
async function chooseUser(
  sql: Sql,
  identity: Identity,
  named: string[],
  write: boolean,
): Promise<User | null> {
  const wanted = named[0] ?? identity.email;
  const found = wanted === null ? [] : await findUsers(sql, wanted);
  const [user, second] = found;
  if (named.length > 0 && !user) throw noSuchUser(named[0] ?? '');
  if (user && second && user.id !== wanted) {
    throw new CalendlySyncError('user_unknown', `Several rows in users have the e-mail ${wanted}.`, {
      hint: `Name one by its id: ${found.map(({ id }) => `--user ${id}`).join(' or ')}`,
    });
  }
  if (!user) return write ? insertUser(sql, identity.email, identity.name) : null;
  const other = await findAccountBy(sql, 'user_id', user.id);
  if (other && other.calendlyUri !== identity.calendlyUri) {
    throw new CalendlySyncError(
      'user_unknown',
      `The user ${user.id} is linked to another Calendly user already (${other.email ?? other.calendlyUri}).`,
      { hint: "Set CALENDLY_TOKEN to that user's token, or name another row with --user ID-OR-EMAIL." },
    );
  }
  return user;
}

/** A token is for one user: naming another one must not write that user's meetings, nor pretend that it had. */
async function checkNamed(sql: Sql, account: Account, named: string[]): Promise<void> {
  for (const name of named) {
    const found = await findUsers(sql, name);
    if (found.some(({ id }) => id === account.userId)) continue;
    if (account.email?.toLowerCase() === name.toLowerCase()) continue;
    if (found.length === 0) throw noSuchUser(name);
    throw new CalendlySyncError(
      'user_unknown',
      `CALENDLY_TOKEN belongs to ${account.email ?? account.calendlyUri}, not to ${name}.`,
      {
        hint: `Leave out --user ${name}, or set CALENDLY_TOKEN to that user's token.`,
      },
    );
  }
}

function noSuchUser(name: string): CalendlySyncError {
  return new CalendlySyncError('user_unknown', `No row in users has the id or e-mail ${name}.`, {
    hint: 'Check the spelling, or leave out --user: the row with the e-mail of the Calendly user is taken, or made.',
  });
}
