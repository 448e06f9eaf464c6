/**
 * The search_path for `--schema`: that schema first, then the schemas of the host's `users` and `meetings` if the
 * connection's own search_path does not contain them, then that search_path. Knows no table of ours.
 */
import { CalendlySyncError } from '../errors.js';
import { quoteText } from './literal-sql.js';

/** Schemas that belong to the platform: their `users` are not the application's. */
const PLATFORM_SCHEMAS =
  'auth|storage|realtime|vault|extensions|graphql|graphql_public|net|cron|pgsodium|pgbouncer|supabase_[a-z_]+|' +
  'neon_auth|hdb_catalog|_[a-z_]+';

type Query = (text: string) => Promise<{ [column: string]: unknown }[]>;

/** Quotes a name for use in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Returns a function that returns the statement to send first, in each transaction or, unless `isLocal`, once in a
 * session. Queries the database until that has succeeded once.
 * @throws CalendlySyncError `settings` when several schemas could be the host's
 */
export function searchPathOf(schema: string, query: Query): (isLocal?: boolean) => Promise<string> {
  let known: string | null = null;
  return async (isLocal = true) => {
    known ??= await findHosts(schema, query);
    return `select set_config('search_path', ${known}, ${isLocal})`;
  };
}

/** The value of the setting, as an expression. */
async function findHosts(schema: string, query: Query): Promise<string> {
  const rows = await query(`
    select wanted.name as table, json_agg(quote_ident(nspname) order by nspname) as schemas
    from (values ('users'), ('meetings')) as wanted (name)
    join pg_class on relname = wanted.name and relkind in ('r', 'p')
    join pg_namespace on pg_namespace.oid = relnamespace
    where to_regclass(wanted.name) is null
      and to_regclass(format('%I.%I', ${quoteText(schema)}, wanted.name)) is null
      and nspname !~ '^(pg_.*|information_schema|${PLATFORM_SCHEMAS})$'
    group by wanted.name
    order by wanted.name desc`);
  const path = [quoteName(schema)];
  for (const { table, schemas } of rows as { table: string; schemas: string[] }[]) {
    if (schemas.length > 1) {
      const message = `Several schemas have a table ${table}: ${schemas.join(', ')}.`;
      const hint = `Choose one: ALTER ROLE CURRENT_USER SET search_path = ${schemas[0]};`;
      throw new CalendlySyncError('settings', message, { hint });
    }
    if (schemas[0] !== undefined && !path.includes(schemas[0])) path.push(schemas[0]);
  }
  return `concat_ws(', ', ${quoteText(path.join(', '))}, nullif(current_setting('search_path'), ''))`;
}
