/** The complete schema of a database as text, for comparisons. */
import type postgres from 'postgres';

/** Relations, columns, constraints, indexes, triggers, functions, policies, rights and comments outside of the system schemas. */
export async function schemaOf(sql: postgres.ISql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with mine as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
    relations as (select pg_class.*, nspname from pg_class join mine on mine.oid = relnamespace)
    select concat_ws(' | ', 'schema', nspname, nspacl::text, obj_description(pg_namespace.oid, 'pg_namespace')) as line
    from pg_namespace where oid in (select oid from mine)
    union all
    select concat_ws(' | ', 'relation', nspname, relname, relkind, pg_get_userbyid(relowner), relacl::text, relrowsecurity, reloptions::text,
      obj_description(oid, 'pg_class'), case when relkind = 'v' then pg_get_viewdef(oid) end)
    from relations
    union all
    select concat_ws(' | ', 'column', nspname, relname, attname, row_number() over (partition by attrelid order by attnum),
      format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attacl::text,
      pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
    from relations join pg_attribute on attrelid = relations.oid and attnum > 0 and not attisdropped
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    union all
    select concat_ws(' | ', 'constraint', nspname, relname, conname, convalidated, pg_get_constraintdef(pg_constraint.oid),
      obj_description(pg_constraint.oid, 'pg_constraint'))
    from relations join pg_constraint on conrelid = relations.oid
    union all
    select concat_ws(' | ', 'index', indisvalid, pg_get_indexdef(indexrelid)) from relations join pg_index on indexrelid = relations.oid
    union all
    select concat_ws(' | ', 'trigger', pg_get_triggerdef(pg_trigger.oid)) from relations join pg_trigger on tgrelid = relations.oid and not tgisinternal
    union all
    select concat_ws(' | ', 'function', pg_proc.oid::regprocedure::text, proacl::text, prosrc, proconfig::text, obj_description(pg_proc.oid, 'pg_proc'))
    from pg_proc join mine on mine.oid = pronamespace
    union all
    select concat_ws(' | ', 'policy', pg_policies::text) from pg_policies
    order by 1`;
  return rows.map(({ line }) => line);
}
