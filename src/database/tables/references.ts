/**
 * Which rows of `meetings` the application's tables refer to by foreign key. Deleting such a row would fail, or would
 * take rows of the application with it.
 */
import type { Sql } from '../connection.js';
import { quoteText } from '../literal-sql.js';
import { quoteName } from '../search-path.js';

/**
 * An SQL expression over a row `m` of `meetings`: the name of a table of the application that refers to it, or null.
 * A table whose rows this role cannot see counts as referring. Lock the row first: then no reference can be added.
 */
export async function referrer(sql: Sql): Promise<string> {
  const keys = await sql<{ table: string; isVisible: boolean; pairs: [string, string][] }[]>`
    select conrelid::regclass::text as table,
      has_table_privilege(conrelid, 'select') and not row_security_active(conrelid) as "isVisible", (
        select json_agg(json_build_array(own.attname, theirs.attname))
        from unnest(conkey, confkey) as pair (own, theirs)
        join pg_attribute as own on own.attrelid = conrelid and own.attnum = pair.own
        join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = pair.theirs
      ) as pairs
    from pg_constraint
    where contype = 'f' and confrelid = to_regclass('meetings') and conparentid = 0
      and conrelid not in (
        select oid from pg_class where relname in ('meeting_invitees', 'calendly_events')
          and relnamespace = quote_ident(current_schema())::regnamespace)
    order by conrelid::regclass::text, conname`;
  const cases = keys.map(({ table, isVisible, pairs }) => {
    const equal = pairs.map(([own, theirs]) => `r.${quoteName(own)} = m.${quoteName(theirs)}`).join(' and ');
    return `when ${isVisible ? `exists (select from ${table} as r where ${equal})` : 'true'} then ${quoteText(table)}`;
  });
  return cases.length > 0 ? `case ${cases.join(' ')} end` : 'null::text';
}
