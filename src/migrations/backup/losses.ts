/**
 * What undoing a migration drops: tables and columns with data, by what the history says that it created. Reads
 * only.
 */
import type { Sql } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';

/** A table that goes, with all its rows, or columns that go from a table that stays. */
export interface Loss {
  kind: 'rows' | 'columns';
  version: string;
  /** Without its schema. */
  table: string;
  /** Qualified where the search_path needs it, and quoted. */
  sqlName: string;
  columns: { name: string; default: string }[];
}

/** What a rollback shows to the operator. */
export interface LossLine {
  version: string;
  /** `table calendly_webhook_events`, `column users.last_calendly_sync`, `view calendly_sync_health`. */
  object: string;
  /** Rows of a table, or values of a column that are not its default; null for what holds no data. */
  rows: number | null;
}

interface Version {
  version: string;
  made: Readonly<Record<string, string>>;
}

/** Tables and columns that hold data and would go with this version; a table comes after those that it refers to. */
export async function readLosses(sql: Sql, { version, made }: Version): Promise<Loss[]> {
  const keys = JSON.stringify(Object.keys(made));
  const rows = await sql<Loss[]>`
    with keys as (select json_array_elements_text(${keys}::text::json) as key),
    wanted as (
      select 'rows' as kind, substr(key, 7) as name, null as columns from keys where key like 'table %'
      union all
      select 'columns', split_part(substr(key, 8), '.', 1), json_agg(split_part(key, '.', 2)) from keys
      where key like 'column %' and 'table ' || split_part(substr(key, 8), '.', 1) not in (select key from keys) group by 2
    )
    select kind, ${version} as version, name as table, found.oid::regclass::text as "sqlName", (
      select json_agg(json_build_object('name', attname, 'default', coalesce(pg_get_expr(adbin, adrelid), 'null')) order by attnum)
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid = found.oid and attnum > 0 and not attisdropped and attgenerated = ''
        and (wanted.columns is null or attname in (select json_array_elements_text(wanted.columns)))
    ) as columns
    from wanted cross join lateral (
      select coalesce(to_regclass(format('%I.%I', current_schema(), name)),
        case when name in ('users', 'meetings') then to_regclass(name) end) as oid
    ) as found
    where found.oid is not null
    order by name = 'users' desc, name = 'meetings' desc, name = 'calendly_accounts' desc, found.oid`;
  return rows.filter(({ columns }) => columns !== null);
}

/** The same in lines, with counts. Counting reads the tables, and stops nobody. */
export async function countLosses(sql: Sql, versions: Version[]): Promise<LossLine[]> {
  const lines: LossLine[] = [];
  for (const version of versions) {
    for (const { kind, table, sqlName, columns } of await readLosses(sql, version)) {
      const counts =
        kind === 'rows'
          ? ['count(*)']
          : columns.map((column) => `count(*) filter (where ${isNotDefault(column)})`);
      const [row] = await sql.unsafe<{ counts: number[] }[]>(
        `select json_build_array(${counts.join(', ')}) as counts from ${sqlName}`,
      );
      const objects =
        kind === 'rows' ? [`table ${table}`] : columns.map(({ name }) => `column ${table}.${name}`);
      for (const [index, object] of objects.entries())
        lines.push({ version: version.version, object, rows: row?.counts[index] ?? 0 });
    }
    for (const object of Object.keys(version.made)) {
      if (/^(view|function|trigger) /.test(object))
        lines.push({ version: version.version, object, rows: null });
    }
  }
  return lines;
}

/** The condition that a column holds something else than what the migration put there. */
export function isNotDefault(column: { name: string; default: string }): string {
  return `${quoteName(column.name)} is distinct from ${column.default}`;
}
