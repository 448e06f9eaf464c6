/** What undoing a migration takes away: everything that bears its mark. Reads only. */
import type { Sql } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';
import { MARK } from '../schema/catalog.js';
import { OWN_TABLES, VIEW } from '../schema/expected.js';

/** A table that goes, with all its rows. */
export interface LostTable {
  kind: 'table';
  version: string;
  /** Without its schema. */
  table: string;
  /** Qualified where the search_path needs it, and quoted. */
  sqlName: string;
  columns: LostColumn[];
}

/** Columns that go from a table that stays; their values are kept with the rows' id. */
export interface LostColumns {
  kind: 'columns';
  version: string;
  table: string;
  sqlName: string;
  idType: string;
  columns: LostColumn[];
}

export interface LostColumn {
  name: string;
  type: string;
  /** The expression of its default, `null` when it has none. */
  default: string;
}

export type Loss = LostTable | LostColumns;

/** What a rollback names to the operator. */
export interface LossLine {
  version: string;
  /** `table calendly_webhook_events`, `column users.last_calendly_sync`, `view calendly_sync_health`. */
  object: string;
  /** Rows of a table, or values of a column that are not its default; null for what holds no data. */
  rows: number | null;
}

/** Tables and columns that hold data and would go with these versions; what is referred to comes first. */
export async function readLosses(sql: Sql, versions: readonly string[]): Promise<Loss[]> {
  const own = Object.keys(OWN_TABLES);
  const rows = await sql<
    { table: string; name: string; mark: string | null; columns: (LostColumn & { mark: string | null })[] }[]
  >`
    select wanted.name as table, found.oid::regclass::text as name, obj_description(found.oid, 'pg_class') as mark, (
      select json_agg(json_build_object(
        'name', attname, 'type', format_type(atttypid, atttypmod), 'mark', col_description(attrelid, attnum),
        'default', coalesce(pg_get_expr(adbin, adrelid), 'null')
      ) order by attnum)
      from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid = found.oid and attnum > 0 and not attisdropped and attgenerated = ''
    ) as columns
    from json_array_elements_text(${JSON.stringify(['users', 'meetings', ...own])}::text::json) with ordinality as wanted (name, position)
    cross join lateral (
      select case when wanted.name in ('users', 'meetings') then to_regclass(wanted.name)
        else to_regclass(format('%I.%I', current_schema(), wanted.name)) end as oid
    ) as found
    where found.oid is not null
    order by position`;
  return rows.flatMap(({ table, name, mark, columns }): Loss[] => {
    const version = versionOf(mark, versions);
    if (version) return [{ kind: 'table', version, table, sqlName: name, columns: columns.map(withoutMark) }];
    return versions.flatMap((version): Loss[] => {
      const lost = columns.filter((column) => versionOf(column.mark, [version])).map(withoutMark);
      const idType = columns.find((column) => column.name === 'id')?.type;
      return lost.length > 0 && idType
        ? [{ kind: 'columns', version, table, sqlName: name, idType, columns: lost }]
        : [];
    });
  });
}

/** The same in lines, with counts. Counting reads the tables, and stops nobody. */
export async function countLosses(sql: Sql, versions: readonly string[]): Promise<LossLine[]> {
  const lines: LossLine[] = [];
  for (const loss of await readLosses(sql, versions)) {
    const counts =
      loss.kind === 'table'
        ? ['count(*)']
        : loss.columns.map((column) => `count(*) filter (where ${isNotDefault(column)})`);
    const [row] = await sql.unsafe<{ counts: number[] }[]>(
      `select json_build_array(${counts.join(', ')}) as counts from ${loss.sqlName}`,
    );
    const of =
      loss.kind === 'table'
        ? [`table ${loss.table}`]
        : loss.columns.map(({ name }) => `column ${loss.table}.${name}`);
    of.forEach((object, index) => {
      lines.push({ version: loss.version, object, rows: row?.counts[index] ?? 0 });
    });
  }
  const rest = await sql<{ mark: string; object: string }[]>`
    select obj_description(pg_class.oid, 'pg_class') as mark, format('view %s', relname) as object
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = current_schema() and relname = ${VIEW.name}
    union all
    select obj_description(pg_proc.oid, 'pg_proc'), format('function %s()', proname)
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
    where nspname = current_schema() and obj_description(pg_proc.oid, 'pg_proc') like ${`${MARK}%`}`;
  for (const { mark, object } of rest) {
    const version = versionOf(mark, versions);
    if (version) lines.push({ version, object, rows: null });
  }
  return lines.sort((a, b) => Number(b.version) - Number(a.version));
}

/** The condition that a column holds something else than what the migration put there. */
export function isNotDefault(column: LostColumn): string {
  return `${quoteName(column.name)} is distinct from ${column.default}`;
}

function withoutMark({ name, type, default: value }: LostColumn): LostColumn {
  return { name, type, default: value };
}

function versionOf(mark: string | null, versions: readonly string[]): string | null {
  return versions.find((version) => mark?.startsWith(`${MARK}${version}`)) ?? null;
}
