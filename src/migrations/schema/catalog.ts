/** What the database holds of all that migrations care about, in a few queries. Reads only; judges nothing. */
import type { Sql } from '../../database/connection.js';
import { API_ROLES, FUNCTION, INDEXES, OWN_TABLES, VIEW } from './expected.js';
import { type IndexState, readIndexStates } from './index-state.js';

/** The beginning of the comment on everything that a migration of ours made. */
export const MARK = 'calendly-sync ';

export interface CatalogColumn {
  type: string;
  /** `typname` of the base type: domains are followed. */
  base: string;
  required: boolean;
  mark: string | null;
}

export interface CatalogTable {
  /** Qualified where the search_path needs it, and quoted. */
  name: string;
  /** `r` table, `p` partitioned, `v` view, … */
  kind: string;
  owner: string;
  /** The current user may alter it. */
  owned: boolean;
  /** The current user may refer to it. */
  referable: boolean;
  /** The current user may read it. */
  readable: boolean;
  mark: string | null;
  rowSecurity: boolean;
  policies: { name: string; closed: boolean }[];
  /** Which strangers hold any right on it. */
  openTo: string[];
  columns: Record<string, CatalogColumn>;
  /** Sets of columns that are unique, names sorted. */
  unique: string[][];
  /** Rows, as the statistics estimate them; null when they do not know. */
  estimate: number | null;
}

export interface Catalog {
  version: number;
  user: string;
  /** Where new tables go; null when no schema of the search_path exists. */
  schema: string | null;
  /** The current user may create tables there. */
  creatable: boolean;
  readOnly: boolean;
  /** Other schemas in which calendly-sync keeps tables for the same `users`. */
  elsewhere: string[];
  tables: Record<string, CatalogTable>;
  indexes: Map<string, IndexState>;
  unvalidated: { table: string; name: string }[];
  function: {
    returns: string;
    mark: string | null;
    source: string;
    fixedPath: boolean;
    openTo: string[];
  } | null;
  view: { mark: string | null; definition: string; invoker: boolean; openTo: string[] } | null;
}

/** Reads it all. `schema` is what `--schema` names; it need not exist yet. */
export async function readCatalog(sql: Sql, schema: string | null): Promise<Catalog> {
  const wanted = [
    ...['users', 'meetings'].map((name) => ({ name, own: false })),
    ...Object.keys(OWN_TABLES).map((name) => ({ name, own: true })),
  ];
  const [row] = await sql<{ catalog: Omit<Catalog, 'view' | 'indexes'> }[]>`
    with
    home as (select coalesce(${schema}::text, current_schema()::text) as name),
    strangers as (
      select rolname::text as name, oid from pg_roles where rolname in (select json_array_elements_text(${JSON.stringify(API_ROLES)}::text::json))
    ),
    found as (
      select wanted.name, coalesce(
        to_regclass(format('%I.%I', home.name, wanted.name)), case when not wanted.own then to_regclass(wanted.name) end
      ) as oid
      from json_to_recordset(${JSON.stringify(wanted)}::text::json) as wanted (name text, own boolean)
      cross join home
    ),
    tables as (
      select found.name, json_build_object(
        'name', found.oid::regclass::text,
        'kind', relkind,
        'owner', pg_get_userbyid(relowner),
        'owned', pg_has_role(current_user, relowner, 'USAGE'),
        'referable', has_table_privilege(found.oid, 'REFERENCES'),
        'readable', has_table_privilege(found.oid, 'SELECT'),
        'mark', obj_description(found.oid, 'pg_class'),
        'rowSecurity', relrowsecurity,
        'policies', (
          select coalesce(json_agg(json_build_object(
            'name', polname,
            'closed', not polpermissive or coalesce(pg_get_expr(polqual, polrelid), 'false') = 'false'
              and coalesce(pg_get_expr(polwithcheck, polrelid), 'false') = 'false'
          )), '[]') from pg_policy where polrelid = found.oid
        ),
        'openTo', (
          select coalesce(json_agg(name), '[]') from (
            select name from strangers
            where has_any_column_privilege(strangers.oid, found.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
              or has_table_privilege(strangers.oid, found.oid, 'DELETE, TRUNCATE, TRIGGER')
            union all
            select 'public' where exists (select from aclexplode(relacl) where grantee = 0)
          ) as open
        ),
        'columns', (
          select coalesce(json_object_agg(attname, json_build_object(
            'type', format_type(atttypid, atttypmod),
            'base', (select coalesce(base.typname, own.typname) from pg_type as own left join pg_type as base on base.oid = own.typbasetype and own.typtype = 'd' where own.oid = atttypid),
            'required', attnotnull and not atthasdef and attidentity = '',
            'mark', col_description(attrelid, attnum)
          )), '{}') from pg_attribute where attrelid = found.oid and attnum > 0 and not attisdropped
        ),
        'unique', (
          select coalesce(json_agg((
            select json_agg(attname order by attname)
            from unnest(indkey::smallint[]) with ordinality as key (attnum, position)
            join pg_attribute using (attnum) where attrelid = indrelid and position <= indnkeyatts
          )), '[]') from pg_index
          where indrelid = found.oid and indisunique and indisvalid and indimmediate and indpred is null and indexprs is null
        ),
        'estimate', nullif(reltuples, -1)
      ) as value
      from found join pg_class on pg_class.oid = found.oid
    )
    select json_build_object(
      'version', current_setting('server_version_num')::integer,
      'user', current_user,
      'schema', home.name,
      'creatable', case
        when to_regnamespace(quote_ident(home.name)) is null then has_database_privilege(current_database(), 'CREATE')
        else has_schema_privilege(to_regnamespace(quote_ident(home.name)), 'CREATE') end,
      'readOnly', pg_is_in_recovery(),
      'elsewhere', (
        select coalesce(json_agg(nspname), '[]')
        from pg_constraint
        join pg_class on pg_class.oid = conrelid and relname = 'calendly_accounts'
        join pg_namespace on pg_namespace.oid = relnamespace and nspname is distinct from home.name
        where contype = 'f' and confrelid = to_regclass('users')
          and obj_description(conrelid, 'pg_class') like ${`${MARK}%`}
      ),
      'tables', (select coalesce(json_object_agg(name, value), '{}') from tables),
      'unvalidated', (
        select coalesce(json_agg(json_build_object('table', conrelid::regclass::text, 'name', conname)), '[]')
        from pg_constraint
        where conrelid in (select oid from found) and not convalidated
          and obj_description(oid, 'pg_constraint') like ${`${MARK}%`}
      ),
      'function', (
        select json_build_object(
          'returns', prorettype::regtype::text,
          'mark', obj_description(pg_proc.oid, 'pg_proc'),
          'source', md5(prosrc),
          'fixedPath', coalesce(proconfig::text like '%search_path=%', false),
          'openTo', (
            select coalesce(json_agg(name), '[]') from (
              select name from strangers where has_function_privilege(strangers.oid, pg_proc.oid, 'EXECUTE')
              union all
              select 'public' where exists (
                select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0
              )
            ) as open
          )
        )
        from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
        where nspname = home.name and proname = ${FUNCTION.name} and pronargs = 0
      )
    ) as catalog
    from home`;
  if (!row) throw new Error('the catalog query gave no row');
  const indexes = await readIndexStates(
    sql,
    Object.entries(INDEXES).map(([name, { table, columns, unique }]) => ({ name, table, columns, unique })),
  );
  return { ...row.catalog, indexes, view: await readView(sql, row.catalog.schema) };
}

/** With an empty search_path all names in the definition are qualified, so that its fingerprint is the same for everybody. */
async function readView(sql: Sql, schema: string | null): Promise<Catalog['view']> {
  const [before] = await sql<{ path: string }[]>`select current_setting('search_path') as path`;
  await sql`select set_config('search_path', '', true)`;
  const [view] = await sql<{ view: Catalog['view'] }[]>`
    select json_build_object(
      'mark', obj_description(pg_class.oid, 'pg_class'),
      'definition', md5(pg_get_viewdef(pg_class.oid)),
      'invoker', coalesce(reloptions::text like '%security_invoker=true%', false),
      'openTo', (
        select coalesce(json_agg(rolname), '[]') from pg_roles
        where rolname in (select json_array_elements_text(${JSON.stringify(API_ROLES)}::text::json))
          and has_any_column_privilege(pg_roles.oid, pg_class.oid, 'SELECT, INSERT, UPDATE')
      )
    ) as view
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = ${schema} and relname = ${VIEW.name} and relkind = 'v'`;
  await sql`select set_config('search_path', ${before?.path ?? ''}, true)`;
  return view?.view ?? null;
}
