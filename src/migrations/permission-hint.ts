/** What a missing right (42501) means: who is asking, who owns what, and what to run. */

import type { Database } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { quoteName, quoteText } from '../database/search-path.js';
import { CalendlySyncError } from '../errors.js';

const INSUFFICIENT_PRIVILEGE = '42501';

/** Runs `work`; a missing right becomes an error that says who owns the tables and what to do. */
export async function explainingPermissions<T>(database: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const root = thrown instanceof CalendlySyncError ? thrown.cause : thrown;
    if (errorCode(root) !== INSUFFICIENT_PRIVILEGE || !(thrown instanceof CalendlySyncError)) throw thrown;
    throw new CalendlySyncError(thrown.code, thrown.message, {
      hint: await hintFor(database),
      cause: thrown.cause,
    });
  }
}

async function hintFor(database: Database): Promise<string> {
  const home = database.schema === null ? 'current_schema()' : quoteText(database.schema);
  const rows = await database.statement<{ user: string; owner: string; tables: string }>(`
    select current_user as user, pg_get_userbyid(relowner) as owner, string_agg(pg_class.oid::regclass::text, ', ' order by relname) as tables
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v') and not pg_has_role(current_user, relowner, 'USAGE') and (
      pg_class.oid in (to_regclass('users'), to_regclass('meetings'))
      or (nspname = ${home} and (relname like 'calendly%' or relname = 'meeting_invitees')))
    group by relowner`);
  if (rows.length === 0) return 'Ask a superuser for the right that is missing.';
  return rows
    .map(
      ({ user, owner, tables }) =>
        `You are ${user}; ${tables} belong to ${owner}. Connect as ${owner}, or let ${owner} or a superuser run: grant ${quoteName(owner)} to ${quoteName(user)};`,
    )
    .join('\n');
}
