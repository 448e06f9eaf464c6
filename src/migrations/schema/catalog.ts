/**
 * What the catalogs of Postgres say about the tables of the host and ours: one request. Knows what exists, not what
 * should. With an empty search_path all names in definitions are qualified, so that a fingerprint is the same for
 * every role.
 */
import { quoteText } from '../../database/literal-sql.js';
import { quoteName } from '../../database/search-path.js';
import { EXPECTED } from './expected.js';

/** The beginning of the comment on everything that a migration created. */
export const MARK = 'calendly-sync ';
/** Roles through which a hosted Postgres publishes a schema. */
export const API_ROLES = ['anon', 'authenticated'] as const;

/**
 * One object, by a key such as `table calendly_accounts`, `column users.last_calendly_sync`, `trigger t on
 * meetings`.
 */
export interface CatalogObject {
  mark: string | null;
  /** Fingerprint of a view, function or trigger; type of a column; else empty. */
  definition: string;
}

/** `users`, `meetings`, or whatever has the name of a table or view of ours. */
export interface CatalogTable {
  /** Quoted, and qualified unless it is in the schema of our tables. */
  name: string;
  isView: boolean;
  owner: string;
  /** The current role may alter it. */
  owned: boolean;
  mark: string | null;
  /** Why our tables cannot refer to it, in the operator's words. */
  unreferable: string | null;
  /** Column name → type. */
  columns: Record<string, string>;
}

export interface Catalog {
  version: number;
  encoding: string;
  user: string;
  /** Where new tables go; null if no schema of the search_path exists. */
  schema: string | null;
  /** Other schemas in which calendly-sync has tables for the same `users`. */
  elsewhere: string[];
  /** By name, as far as they exist. */
  tables: Record<string, CatalogTable>;
  /** What a migration creates, as far as it exists. */
  objects: Record<string, CatalogObject>;
  /** Who could see or do what our files closed, in the operator's words. */
  open: { object: string; problem: string }[];
}

const KEYS = [
  ...['table users', 'table meetings'],
  ...Object.values(EXPECTED).flatMap((objects) => Object.keys(objects)),
];
const namesOf = (kind: string) =>
  KEYS.flatMap((key) => (key.startsWith(`${kind} `) ? [key.slice(kind.length + 1).replace(/\(.*/, '')] : []));
const list = (values: readonly string[]) => `array[${values.map(quoteText).join(', ')}]::text[]`;
const ROLES = list(API_ROLES);

/**
 * Statements that resolve `users`, `meetings` and the schema of our tables, then empty the search_path.
 * @param local false for a script, whose statements may run in a transaction each
 */
export function enterCatalog(schema: string | null, local = true): string {
  const home = schema === null ? 'current_schema()::text' : quoteText(schema);
  const host = (name: string) =>
    `set_config('calendly_sync.${name}', coalesce(coalesce(` +
    `to_regclass(format('%I.${name}', ${home})), to_regclass('${name}'))::oid::text, ''), ${local})`;
  return `select set_config('calendly_sync.home', coalesce(${home}, ''), ${local}), ${host('users')}, ${host('meetings')},
    set_config('calendly_sync.path', current_setting('search_path'), ${local});
select set_config('search_path', '', ${local});\n`;
}

/** The statement that brings the search_path back. */
export function leaveCatalog(local = true): string {
  return `select set_config('search_path', current_setting('calendly_sync.path'), ${local});\n`;
}

const HOSTS = `hosts as (
    select name, nullif(current_setting('calendly_sync.' || name), '')::oid as oid from unnest(array['users', 'meetings']) as name
  ),
  home as (select oid, nspname as name from pg_namespace where nspname = current_setting('calendly_sync.home')),
  relations as (
    select pg_class.*, coalesce(hosts.name, relname::text) as alias, hosts.oid is not null as host
    from pg_class left join hosts on hosts.oid = pg_class.oid
    where hosts.oid is not null or relnamespace = (select oid from home)
  )`;

/** Statements that set the rights on `target` (an SQL expression) as they are now; null where they are the default. */
const rights = (target: string, acl: string) => `(
    select string_agg(statement, ' ') from (
      select format('revoke all on %s from %s;', ${target}, role_name) as statement
      from (select 'public' union all select quote_ident(rolname) from pg_roles where rolname = any (${ROLES})) as roles (role_name)
      where ${acl} is not null
      union all
      select format('grant %s on %s to %s;', privilege_type, ${target},
        case grantee when 0 then 'public' else grantee::regrole::text end)
      from aclexplode(${acl})
    ) as statements)`;

/** Nobody needs the definition of what is ours: the files have it. */
const isForeign = (oid: string, catalog: string) =>
  `coalesce(obj_description(${oid}, '${catalog}'), '') not like '${MARK}%'`;

const VIEWS = list(namesOf('view'));
const TABLES = list(namesOf('table').filter((name) => name !== 'users' && name !== 'meetings'));
const FUNCTIONS = list(namesOf('function'));

/**
 * A query for every object in the schema of ours and on the host's tables: key, oid, mark, definition, and, for what
 * a migration may replace, the statements that create it and set its rights.
 */
export const OBJECTS = `
  with ${HOSTS}
  select
    case relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'i' then 'index ' else 'table ' end || alias as key,
    relations.oid::text as oid,
    obj_description(relations.oid, 'pg_class') as mark,
    case relkind when 'v' then md5(pg_get_viewdef(relations.oid)) else '' end as definition,
    case when relkind = 'v' and relname = any (${VIEWS}) and ${isForeign('relations.oid', 'pg_class')} then
      format('create view %s%s as %s', relations.oid::regclass,
        ' with (' || array_to_string(reloptions, ', ') || ')', pg_get_viewdef(relations.oid))
      || coalesce(format(' comment on view %s is %L;', relations.oid::regclass, obj_description(relations.oid, 'pg_class')), '')
    end as definer,
    case when relkind in ('r', 'v') and relname = any (${VIEWS} || ${TABLES}) and ${isForeign('relations.oid', 'pg_class')} then concat_ws(' ',
      case when relkind = 'r' and not relrowsecurity then
        format('alter table %1$s disable row level security; drop policy if exists calendly_sync_closed on %1$s;',
          relations.oid::regclass) end,
      ${rights('relations.oid::regclass', 'relacl')})
    end as rights
  from relations
  where relkind in ('r', 'p', 'v', 'm', 'f')
    or (relkind = 'i' and not exists (select from pg_constraint where conindid = relations.oid))
  union all
  select 'column ' || alias || '.' || attname, attrelid || '.' || attnum, col_description(attrelid, attnum),
    format_type(atttypid, atttypmod), null, null
  from relations join pg_attribute on attrelid = relations.oid and attnum > 0 and not attisdropped
  where host
  union all
  select format('function %s(%s)', proname, pg_get_function_identity_arguments(pg_proc.oid)), pg_proc.oid::text,
    obj_description(pg_proc.oid, 'pg_proc'), md5(concat(prosrc, proconfig)),
    case when proname = any (${FUNCTIONS}) and ${isForeign('pg_proc.oid', 'pg_proc')} then pg_get_functiondef(pg_proc.oid) || ';'
      || coalesce(format(' comment on function %s is %L;', pg_proc.oid::regprocedure, obj_description(pg_proc.oid, 'pg_proc')), '')
    end,
    case when proname = any (${FUNCTIONS}) and ${isForeign('pg_proc.oid', 'pg_proc')} then
      coalesce(${rights("'function ' || pg_proc.oid::regprocedure", 'proacl')}, '') end
  from pg_proc
  where pronamespace = (select oid from home) and prokind in ('f', 'p')
    and not exists (select from pg_depend where objid = pg_proc.oid and deptype = 'e')
  union all
  select 'trigger ' || tgname || ' on ' || alias, pg_trigger.oid::text, obj_description(pg_trigger.oid, 'pg_trigger'),
    md5(pg_get_triggerdef(pg_trigger.oid)), null, null
  from relations join pg_trigger on tgrelid = relations.oid and not tgisinternal
  union all
  select 'constraint ' || conname || ' on ' || alias, pg_constraint.oid::text, null, '', null, null
  from relations join pg_constraint on conrelid = relations.oid
  where host`;

/** The API roles that `check` is true for, and `public` if `acl` says so. */
const openTo = (check: string, acl: string) => `(
    select string_agg(name, ', ') from (
      select rolname::text as name from pg_roles where rolname = any (${ROLES}) and (${check})
      union all
      select 'public' where exists (select from aclexplode(${acl}) where grantee = 0)
    ) as roles)`;

/** What of the closed tables, views and functions is open: `object` and `problem`. */
const OPEN = `
    select 'table ' || alias as object, 'row-level security is off' as problem
    from relations where relkind = 'r' and not relrowsecurity
    union all
    select 'table ' || alias, format('policy %s lets somebody in', polname)
    from relations join pg_policy on polrelid = relations.oid
    where polpermissive and polname <> 'calendly_sync_application' and polname not like 'calendly\\_sync\\_reader%'
      and 'false' <> any (array[coalesce(pg_get_expr(polqual, polrelid), 'false'), coalesce(pg_get_expr(polwithcheck, polrelid), 'false')])
    union all
    select 'table ' || alias, 'the policy calendly_sync_closed is missing'
    from relations
    where relkind = 'r' and not exists (select from pg_policy where polrelid = relations.oid and polname = 'calendly_sync_closed')
    union all
    select 'view ' || relname, 'runs with its owner''s rights (security_invoker is off)'
    from relations
    where relkind = 'v' and current_setting('server_version_num')::integer >= 150000
      and coalesce(reloptions::text, '') not like '%security_invoker=true%'
    union all
    select case relkind when 'v' then 'view ' else 'table ' end || alias, 'is open to ' || ${openTo(
      `has_any_column_privilege(pg_roles.oid, relations.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        or has_table_privilege(pg_roles.oid, relations.oid, 'DELETE, TRUNCATE, TRIGGER')`,
      'relacl',
    )}
    from relations where relkind in ('r', 'v')
    union all
    select format('function %s(%s)', proname, pg_get_function_identity_arguments(pg_proc.oid)), 'may be run by ' || ${openTo(
      "has_function_privilege(pg_roles.oid, pg_proc.oid, 'EXECUTE')",
      "coalesce(proacl, acldefault('f', proowner))",
    )}
    from pg_proc where pronamespace = (select oid from home) and proname = any (${FUNCTIONS})`;

/** Everything that `Catalog` holds, in one row, column `catalog`. */
const CATALOG = `
  with ${HOSTS},
  tables as (
    select alias, json_build_object(
      'name', case relnamespace when (select oid from home) then quote_ident(relname) else oid::regclass::text end,
      'isView', relkind = 'v',
      'owner', pg_get_userbyid(relowner),
      'owned', pg_has_role(relowner, 'usage'),
      'mark', obj_description(oid, 'pg_class'),
      'unreferable', case
        when relkind not in ('r', 'p') then 'is not a table, so that no foreign key can refer to it'
        when relpersistence = 'u' then format('is unlogged, so that no permanent table can refer to it (alter table %s set logged)', oid::regclass)
        when not exists (select from pg_attribute where attrelid = oid and attname = 'id') then 'has no column id'
        when not exists (
          select from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
          where indrelid = oid and indisunique and indisvalid and indimmediate and indpred is null and indnkeyatts = 1 and attname = 'id'
        ) then 'has no unique key on id alone, so that no foreign key can refer to it'
        when not has_table_privilege(oid, 'references') then format(
          'may not be referred to by %1$s (SQLSTATE 42501): let %2$s run: grant references on %3$s to %1$I;',
          current_user, pg_get_userbyid(relowner), oid::regclass)
      end,
      'columns', (
        select coalesce(json_object_agg(attname, format_type(atttypid, atttypmod)), '{}')
        from pg_attribute where attrelid = relations.oid and attnum > 0 and not attisdropped)
    ) as value
    from relations where host or relname = any (${TABLES} || ${VIEWS})
  )
  select json_build_object(
    'version', current_setting('server_version_num')::integer,
    'encoding', current_setting('server_encoding'),
    'user', current_user,
    'schema', nullif(current_setting('calendly_sync.home'), ''),
    'elsewhere', (
      select coalesce(json_agg(nspname), '[]')
      from pg_constraint
      join pg_class on pg_class.oid = conrelid and relname = 'calendly_accounts'
      join pg_namespace on pg_namespace.oid = relnamespace and nspname <> current_setting('calendly_sync.home')
      where contype = 'f' and confrelid = (select oid from hosts where name = 'users')
        and exists (
          select from pg_class as history
          where history.relname = 'calendly_migrations' and history.relnamespace = pg_namespace.oid)),
    'tables', (select coalesce(json_object_agg(alias, value), '{}') from tables),
    'objects', (
      select coalesce(json_object_agg(key, json_build_object('mark', mark, 'definition', definition)), '{}')
      from (${OBJECTS}) as objects
      where key = any (${list(KEYS)}) or key like 'column %' or key ~ '^(table|function|trigger) calendly_'),
    'open', (
      select coalesce(json_agg(open), '[]') from (${OPEN}) as open
      where problem is not null and object = any (${list(KEYS)}))
  ) as catalog;\n`;

/** The statements that read the catalog; the third result holds it. The search_path is as before after them. */
export function catalogText(schema: string | null): string {
  return enterCatalog(schema) + CATALOG + leaveCatalog();
}

/** The object's name in SQL, for `comment on …`: `column users.id` becomes `column "users"."id"`. */
export function objectName(key: string): string {
  const [, kind = '', rest = ''] = /^(\w+(?: view)?) (.*)$/.exec(key) ?? [];
  if (kind === 'function') return key;
  const [, name = '', , table = ''] = /^(.*?)( on (.*))?$/.exec(rest) ?? [];
  const parts = kind === 'column' ? name.split('.') : [name];
  return `${kind} ${parts.map(quoteName).join('.')}${table && ` on ${quoteName(table)}`}`;
}
