/** What a missing right (42501) means: who is asking, who owns what, and what to run. */
import type { Database } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { quoteText } from '../database/literal-sql.js';
import { quoteName } from '../database/search-path.js';
import { CalendlySyncError } from '../errors.js';
import { PartialFailure } from './partial-failure.js';

const INSUFFICIENT_PRIVILEGE = '42501';

/** Runs `work`; a missing right becomes an error that says who owns the tables and what to do. */
export async function explainingPermissions<T>(database: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CalendlySyncError) || errorCode(error.cause) !== INSUFFICIENT_PRIVILEGE)
      throw error;
    const explained = new CalendlySyncError(error.code, error.message, {
      hint: await hintFor(database, error.message),
      cause: error.cause,
    });
    throw error instanceof PartialFailure ? new PartialFailure(explained, error.result) : explained;
  }
}

async function hintFor(database: Database, message: string): Promise<string> {
  const home = database.schema === null ? 'current_schema()' : quoteText(database.schema);
  const rows = await database.statement<{ user: string; owner: string; tables: string }>(`
    select current_user as user, pg_get_userbyid(relowner) as owner,
      string_agg(pg_class.oid::regclass::text, ', ' order by relname) as tables
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v') and not pg_has_role(current_user, relowner, 'USAGE') and (
      pg_class.oid in (to_regclass('users'), to_regclass('meetings'))
      or (nspname = ${home} and (relname like 'calendly%' or relname = 'meeting_invitees')))
    group by relowner`);
  if (rows.length > 0)
    return rows
      .map(
        ({ user, owner, tables }) =>
          `You are ${user}; ${tables} belong to ${owner}. Connect as ${owner}, or let ${owner} or a superuser run: ` +
          `grant ${quoteName(owner)} to ${quoteName(user)};`,
      )
      .join('\n');
  return message.includes('row-level security')
    ? 'Row-level security is forced on that table, so that its owner cannot see every row: connect as a role with BYPASSRLS.'
    : 'Ask a superuser for the right that is missing.';
}
