/** How indexes stand in the database: by their name, and by what they do. Reads only. */
import type { Sql } from '../../database/connection.js';

/** An index that is looked for. */
export interface WantedIndex {
  name: string;
  table: string;
  columns: readonly string[];
  unique: boolean;
}

export interface IndexState {
  /** Qualified and quoted; null when there is no index of that name beside the table. */
  name: string | null;
  /** False also for one that a failed build left behind. */
  valid: boolean;
  /** Somebody builds it at this moment. */
  building: boolean;
  /** Another valid index that serves the same purpose; null when there is none. */
  equal: string | null;
  /** The table, qualified and quoted; null when there is none. */
  table: string | null;
  /** The table has no page: an index on it is made in no time. */
  empty: boolean;
}

const ABSENT: IndexState = {
  name: null,
  valid: false,
  building: false,
  equal: null,
  table: null,
  empty: false,
};

/** Looks up one index. */
export async function readIndexState(sql: Sql, wanted: WantedIndex): Promise<IndexState> {
  return (await readIndexStates(sql, [wanted])).get(wanted.name) ?? ABSENT;
}

/** Looks up several indexes in one query. What is unique may name its columns in any order. */
export async function readIndexStates(sql: Sql, wanted: WantedIndex[]): Promise<Map<string, IndexState>> {
  const rows = await sql<(IndexState & { wanted: string })[]>`
    select
      wanted.name as wanted,
      case when named.oid is not null then format('%I.%I', nspname, named.relname) end as name,
      coalesce(indisvalid and indisready, false) as valid,
      exists (select from pg_stat_progress_create_index where index_relid = named.oid) as building,
      (
        select other.indexrelid::regclass::text
        from pg_index as other
        where other.indrelid = host.oid and other.indexrelid is distinct from named.oid
          and other.indisvalid and other.indimmediate and other.indpred is null and other.indexprs is null
          and (other.indisunique or not wanted.unique)
          and (
            select json_agg(attname order by case when wanted.unique then attname end, position)::text
            from unnest(other.indkey::smallint[]) with ordinality as key (attnum, position)
            join pg_attribute using (attnum)
            where attrelid = host.oid and position <= other.indnkeyatts
          ) = (
            select json_agg(value order by case when wanted.unique then value end, position)::text
            from json_array_elements_text(wanted.columns) with ordinality as item (value, position)
          )
        limit 1
      ) as equal,
      format('%I.%I', nspname, host.relname) as table,
      host.relkind = 'r' and pg_relation_size(host.oid) = 0 as empty
    from json_to_recordset(${JSON.stringify(wanted)}::text::json) as wanted (name text, "table" text, columns json, "unique" boolean)
    join pg_class as host on host.oid = to_regclass(quote_ident(wanted.table))
    join pg_namespace on pg_namespace.oid = host.relnamespace
    left join pg_class as named
      on named.relnamespace = host.relnamespace and named.relname = wanted.name and named.relkind in ('i', 'I')
    left join pg_index on indexrelid = named.oid`;
  return new Map(rows.map(({ wanted, ...state }) => [wanted, state]));
}
