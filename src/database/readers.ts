/**
 * Roles that may read what was synced and nothing else: a policy of ours on each of our tables, which are closed to
 * everybody but their owner. Tokens and keys stay closed to readers.
 */
import { CalendlySyncError } from '../errors.js';
import type { Database, Sql } from './connection.js';
import { quoteText } from './literal-sql.js';
import { quoteName } from './search-path.js';

/** The name of the policy, whose roles are the readers. */
const POLICY = 'calendly_sync_reader';
/** Begins the comment that keeps which grants on the application's tables the rollback of 005 revokes. */
const MARK = 'calendly-sync 005: ';

/** Tables that no reader needs. */
const SECRET = ['calendly_tokens', 'calendly_erasures', 'calendly_erasure_key'];

/** What `grantRead` did. */
export interface ReadGrant {
  role: string;
  tables: string[];
  views: string[];
}

/**
 * Requires that the role sees all rows of these tables, and lets its policies apply to the rest of the transaction.
 * Without this, a role that policies apply to gets an error from the server, never a part of the rows.
 * @throws CalendlySyncError `database_failed` if policies hide rows from the role
 */
export async function requireReadable(sql: Sql, tables: readonly string[]): Promise<void> {
  const hidden = await sql<{ name: string; role: string; ours: boolean | null }[]>`
    select name, current_user as role, obj_description(to_regclass(name), 'pg_class') like 'calendly-sync%' as ours
    from unnest(${[...tables]}::text[]) as name
    where row_security_active(to_regclass(name)) and not exists (
      select from pg_policy cross join lateral unnest(polroles) as reader
      where polrelid = to_regclass(name) and polname = ${POLICY} and pg_has_role(current_user, reader, 'usage')
    )`;
  const [{ role } = { role: '' }] = hidden;
  if (hidden.length > 0) {
    const policies = hidden
      .filter(({ ours }) => !ours)
      .map(({ name }) => `create policy ${POLICY} on ${name} for select to ${quoteName(role)} using (true);`);
    throw new CalendlySyncError(
      'database_failed',
      `Row-level security hides rows of ${hidden.map(({ name }) => name).join(', ')} from role ${role}.`,
      {
        hint:
          policies.length < hidden.length
            ? `As the owner of the tables, run: calendly-sync grant-read ${role}`
            : `grant-read changes no policy of the application's tables. Let their owner run: ${policies.join(' ')}`,
      },
    );
  }
  await sql`select set_config('row_security', 'on', true)`;
}

/**
 * Lets a role read all rows of our tables and views, and of `users` and `meetings`. Undone by the rollback
 * of our migrations. Can be repeated.
 * @throws CalendlySyncError `usage` if there is no such role, `schema_not_ready` without our tables
 */
export async function grantRead(database: Database, role: string): Promise<ReadGrant> {
  return database.transaction(async (sql) => {
    const [known] = await sql<{ exists: boolean }[]>`
      select exists (select from pg_roles where rolname = ${role}) as exists`;
    if (!known?.exists) {
      const hint = `Create it first: create role ${quoteName(role)} login`;
      throw new CalendlySyncError('usage', `There is no role ${role} in this database.`, { hint });
    }
    const ours = await sql<{ name: string; kind: 'r' | 'v'; roles: string[] | null }[]>`
      select oid::regclass::text as name, relkind as kind, (
        select array_agg(rolname::text) from pg_policy cross join lateral unnest(polroles) as reader
        join pg_roles on pg_roles.oid = reader where polrelid = pg_class.oid and polname = ${POLICY}
      ) as roles
      from pg_class
      where relkind in ('r', 'v') and relname <> all(${SECRET}) and pg_table_is_visible(oid)
        and obj_description(oid, 'pg_class') like 'calendly-sync%'
      order by 1`;
    if (!ours.some(({ name }) => /\bcalendly_events$/.test(name))) {
      throw new CalendlySyncError('schema_not_ready', 'The database lacks the tables of calendly-sync.', {
        hint: 'Run: calendly-sync migrate',
      });
    }
    const hosts = await sql<{ name: string }[]>`
      select to_regclass(name)::text as name from unnest(array['users', 'meetings']) as name
      where not has_table_privilege(${role}, to_regclass(name), 'select')`;
    const grantee = quoteName(role);
    for (const { name, kind, roles } of ours) {
      await sql.unsafe(`grant select on ${name} to ${grantee}`);
      if (kind === 'v') continue;
      const readers = [...new Set([...(roles ?? []), role])].map(quoteName).join(', ');
      await sql.unsafe(
        roles
          ? `alter policy ${POLICY} on ${name} to ${readers}`
          : `create policy ${POLICY} on ${name} for select to ${readers} using (true)`,
      );
    }
    await sql.unsafe(`grant execute on function calendly_sync_timezone to ${grantee}`);
    await grantOnHosts(sql, hosts, role);
    const names = (kind: string) => ours.filter((one) => one.kind === kind).map(({ name }) => name);
    return { role, tables: [...names('r'), ...hosts.map(({ name }) => name)].sort(), views: names('v') };
  });
}

/** Grants on tables that may be the application's are kept in a comment, so that a rollback revokes them. */
async function grantOnHosts(sql: Sql, hosts: { name: string }[], role: string): Promise<void> {
  if (hosts.length === 0) return;
  for (const { name } of hosts) await sql.unsafe(`grant select on ${name} to ${quoteName(role)}`);
  const [before] = await sql<{ grants: string | null }[]>`
    select substr(obj_description(oid, 'pg_policy'), ${MARK.length + 1}) as grants from pg_policy
    where polrelid = to_regclass('calendly_events') and polname = ${POLICY}`;
  const grants: unknown[] = JSON.parse(before?.grants ?? '[]');
  const all = [...grants, ...hosts.map(({ name }) => ({ table: name, role }))];
  await sql.unsafe(
    `comment on policy ${POLICY} on calendly_events is ${quoteText(MARK + JSON.stringify(all))}`,
  );
}
