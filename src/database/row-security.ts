/**
 * Who sees which rows. A role that row-level security applies to gets an error instead of only some of the rows; a role
 * with a reader policy of ours on all of our tables may read. Explains a missing right with the names of role and owner.
 */
import { quoteText } from './literal-sql.js';
import { quoteName } from './search-path.js';

/** The statement that turns hidden rows into an error, until the transaction ends. */
export const NO_HIDDEN_ROWS = `select set_config('row_security', 'off', true);\n`;

const READER = `polname like 'calendly\\_sync\\_reader%'`;

/**
 * The statement after it that lets a role read which sees all rows through policies of ours. It goes by the names of
 * tables in any schema, because the search_path is not set yet.
 */
export const EXCEPT_FOR_READERS = `
  select set_config('row_security', 'on', true)
  where exists (select from pg_policy where ${READER}) and not exists (
    select from pg_class
    where row_security_active(pg_class.oid) and has_any_column_privilege(pg_class.oid, 'select')
      and (relname in ('users', 'meetings', 'meeting_invitees') or relname like 'calendly\\_%')
      and not exists (
        select from pg_policy
        where polrelid = pg_class.oid and ${READER} and polpermissive and polcmd in ('r', '*')
          and pg_get_expr(polqual, polrelid) = 'true'
          and (0 = any (polroles) or exists (select from unnest(polroles) as role where role <> 0 and pg_has_role(role, 'usage')))
      )
  )`;

/** Who the role is, who owns the tables that it has no right to, and what to run; null if those are not of ours. */
export async function permissionHint(
  statement: (text: string) => Promise<object[]>,
  schema: string | null,
  byPolicy: boolean,
): Promise<string | null> {
  const home = schema === null ? 'current_schema()' : quoteText(schema);
  const rows = (await statement(`
    select current_user as user, pg_get_userbyid(relowner) as owner, pg_has_role(relowner, 'usage') as "isOwn",
      array_agg(pg_class.oid::regclass::text order by relname) as tables
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v') and (not pg_has_role(relowner, 'usage') or row_security_active(pg_class.oid)) and (
      pg_class.oid in (to_regclass('users'), to_regclass('meetings'))
      or (nspname = ${home} and (relname like 'calendly%' or relname = 'meeting_invitees')))
    group by relowner order by relowner`)) as {
    user: string;
    owner: string;
    isOwn: boolean;
    tables: string[];
  }[];
  const hints = rows
    .filter(({ isOwn }) => byPolicy || !isOwn)
    .map(({ user, owner, isOwn, tables }) => {
      const some = tables.slice(0, 3).join(', ') + (tables.length > 3 ? ' …' : '');
      return isOwn
        ? `You are ${user}; row-level security is forced on ${some}, so that the owner, ${owner}, cannot see every row: ` +
            `connect as a role with BYPASSRLS.`
        : `You are ${user}; ${some} belong to ${owner}. Connect as ${owner}, or let ${owner} or a superuser run: ` +
            `grant ${quoteName(owner)} to ${quoteName(user)};`;
    });
  if (hints.length > 0) return hints.join('\n');
  if (byPolicy) return null;
  const [me] = (await statement('select current_user as user')) as { user: string }[];
  return `You are ${me?.user}: ask the owner of the database or a superuser for the right that is missing.`;
}
