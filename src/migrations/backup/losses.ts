/**
 * What undoing a migration drops: tables and columns with data, by what the history says that it created. Reads
 * only.
 */
import type { Sql } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';

export interface Column {
  name: string;
  /** Its default as SQL, `null` if it has none. */
  default: string;
}

/** A table that goes, with all its rows, or columns that go from a table that stays. */
export interface Loss {
  kind: 'rows' | 'columns';
  version: string;
  /** Without its schema. */
  table: string;
  /** Qualified where the search_path needs it, and quoted. */
  sqlName: string;
  columns: Column[];
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

/** An SQL expression: the table of that name in the schema of ours, or the host's. */
export const locate = (name: string) => `coalesce(to_regclass(format('%I.%I', current_schema(), ${name})),
  case when ${name} in ('users', 'meetings') then to_regclass(${name}) end)`;

/** Tables and columns that hold data and would go with this version; a table comes after those that it refers to. */
export async function readLosses(sql: Sql, { version, made }: Version): Promise<Loss[]> {
  const keys = JSON.stringify(Object.keys(made));
  return sql<Loss[]>`
    with keys as (
      select split_part(key, ' ', 1) as kind, split_part(split_part(key, ' ', 2), '.', 1) as name, split_part(key, '.', 2) as attribute
      from json_array_elements_text(${keys}::text::json) as key where key ~ '^(table|column) '
    ),
    wanted as (select name, bool_or(kind = 'table') as whole, array_agg(attribute) as attributes from keys group by name)
    select case when whole then 'rows' else 'columns' end as kind, ${version} as version, name as table,
      relation::regclass::text as "sqlName", columns
    from wanted
    cross join lateral (select ${sql.unsafe(locate('name'))} as relation) as located
    cross join lateral (
      select json_agg(json_build_object('name', attname, 'default', coalesce(pg_get_expr(adbin, adrelid), 'null')) order by attnum) as columns
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid = relation and attnum > 0 and not attisdropped and attgenerated = '' and (whole or attname = any (attributes))
    ) as found
    where columns is not null
    order by name = 'users' desc, name = 'meetings' desc, name = 'calendly_accounts' desc, relation`;
}

/** The same in lines, with counts. Counting reads the tables, and stops nobody. */
export async function countLosses(sql: Sql, versions: Version[]): Promise<LossLine[]> {
  const lines: LossLine[] = [];
  for (const { version, made } of versions) {
    for (const { kind, table, sqlName, columns } of await readLosses(sql, { version, made })) {
      const counted =
        kind === 'rows'
          ? [{ object: `table ${table}`, where: 'true' }]
          : columns.map((column) => ({
              object: `column ${table}.${column.name}`,
              where: isNotDefault(column),
            }));
      const [row] = await sql.unsafe<{ counts: number[] }[]>(`
        select json_build_array(${counted.map(({ where }) => `count(*) filter (where ${where})`).join(', ')}) as counts
        from ${sqlName}`);
      for (const [index, { object }] of counted.entries())
        lines.push({ version, object, rows: row?.counts[index] ?? 0 });
    }
    for (const object of Object.keys(made))
      if (/^(view|function|trigger) /.test(object)) lines.push({ version, object, rows: null });
  }
  return lines;
}

/** The condition that a column holds something else than what the migration put there. */
export function isNotDefault(column: Column): string {
  return `${quoteName(column.name)} is distinct from ${column.default}`;
}
