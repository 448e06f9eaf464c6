/** The statements that put one table's rows back, made from how the table is now. Each takes the rows as one JSON parameter. */

import type { Sql } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import type { TableHead } from './file.js';

export interface Target {
  /** Qualified where the search_path needs it, and quoted. */
  sqlName: string;
  /** Writes what is missing. */
  write: string;
  /** Counts the rows that are there as in the backup, and those that cannot be there. */
  compare: string;
  /** Finds a row that has the id of one in the backup and is somebody else; null where nothing refers to the table. */
  otherIdentity: string | null;
  sequences: { column: string; sequence: string }[];
}

interface TableNow {
  name: string;
  columns: { name: string; type: string; default: string; generated: boolean; sequence: string | null }[];
  key: string[];
  parents: { column: string; table: string; key: string; action: string }[];
}

/** What makes a row of these tables the same person, meeting or account, whatever its other values are. */
const IDENTITY: Readonly<Record<string, readonly string[]>> = {
  users: ['email'],
  meetings: ['user_id', 'meeting_source', 'external_id'],
  calendly_accounts: ['calendly_uri'],
};

/**
 * Prepares the restoring of one table.
 * @throws CalendlySyncError `schema_not_ready` when the table or one of its columns is not there
 */
export async function readTarget(sql: Sql, head: TableHead): Promise<Target> {
  const now = await readTable(sql, head);
  const columns = head.columns.flatMap((name, index) => {
    const found = now.columns.find((column) => column.name === name);
    if (!found) throw notReady(`${head.table}.${name}`);
    // Postgres fills generated columns itself.
    return found.generated
      ? []
      : [{ ...found, quoted: quoteName(name), value: `(item ->> ${index})::${found.type}` }];
  });
  const sequences = now.columns.flatMap(({ name, sequence }) =>
    sequence && head.kind === 'rows' ? [{ column: name, sequence }] : [],
  );
  const source = (extra = '') =>
    `(select ${columns.map(({ value, quoted }) => `${value} as ${quoted}`).join(', ')} from json_array_elements($1::text::json) as item)${extra}`;
  if (head.kind === 'columns') return { ...columnsTarget(now.name, columns, source()), sequences };
  const parents = now.parents.filter(({ column }) => columns.some(({ name }) => name === column));
  const gone = ({ column, table, key }: TableNow['parents'][number]) =>
    `(saved.${quoteName(column)} is not null and not exists (select from ${table} as parent where parent.${quoteName(key)} = saved.${quoteName(column)}))`;
  const required = parents.filter(({ action }) => action !== 'n');
  const orphan = required.length > 0 ? required.map(gone).join(' or ') : 'false';
  // Where a deleted parent would have left null behind, it does so here too.
  const savedValue = (name: string) => {
    const parent = parents.find(({ column, action }) => column === name && action === 'n');
    return parent
      ? `case when not ${gone(parent)} then saved.${quoteName(name)} end`
      : `saved.${quoteName(name)}`;
  };
  const sameKey = now.key.map((name) => `there.${quoteName(name)} = saved.${quoteName(name)}`).join(' and ');
  const identity =
    IDENTITY[head.table]?.filter((name) => columns.some((column) => column.name === name)) ?? [];
  return {
    sqlName: now.name,
    write: `
      insert into ${now.name} (${columns.map(({ quoted }) => quoted).join(', ')})
      select ${columns.map(({ name }) => savedValue(name)).join(', ')} from ${source(' as saved')}
      where not (${orphan})
      on conflict do nothing`,
    compare: `
      select
        count(*) filter (where ${columns.map(({ name, quoted }) => `there.${quoted}::text is not distinct from (${savedValue(name)})::text`).join(' and ')}) as equal,
        count(*) filter (where ${orphan}) as orphaned
      from ${source(' as saved')} left join ${now.name} as there on ${sameKey}`,
    otherIdentity:
      identity.length === 0
        ? null
        : `select ${now.key.map((name) => `saved.${quoteName(name)}::text`).join(` || ', ' || `)} as key
           from ${source(' as saved')} join ${now.name} as there on ${sameKey}
           where ${identity.map((name) => `there.${quoteName(name)}::text is distinct from saved.${quoteName(name)}::text`).join(' or ')} limit 1`,
    sequences,
  };
}

/** Values of columns on a table that stayed: written where the columns are as the migration left them. */
function columnsTarget(
  table: string,
  columns: { name: string; quoted: string; default: string }[],
  source: string,
): Omit<Target, 'sequences'> {
  const values = columns.filter(({ name }) => name !== 'id');
  const same = values
    .map(({ quoted }) => `there.${quoted}::text is not distinct from saved.${quoted}::text`)
    .join(' and ');
  return {
    sqlName: table,
    write: `
      update ${table} as there set ${values.map(({ quoted }) => `${quoted} = saved.${quoted}`).join(', ')}
      from ${source} as saved
      where there.id = saved.id and not (${same})
        and ${values.map(({ quoted, default: value }) => `there.${quoted} is not distinct from ${value}`).join(' and ')}`,
    compare: `
      select count(*) filter (where there.id is not null and ${same}) as equal, count(*) filter (where there.id is null) as orphaned
      from ${source} as saved left join ${table} as there on there.id = saved.id`,
    otherIdentity: null,
  };
}

async function readTable(sql: Sql, { table }: TableHead): Promise<TableNow> {
  const [row] = await sql<{ now: TableNow }[]>`
    select json_build_object(
      'name', found.oid::regclass::text,
      'columns', (
        select json_agg(json_build_object(
          'name', attname, 'type', format_type(atttypid, atttypmod), 'generated', attgenerated <> '',
          'default', coalesce(pg_get_expr(adbin, adrelid), 'null'),
          'sequence', pg_get_serial_sequence(found.oid::regclass::text, attname)
        ))
        from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attrelid = found.oid and attnum > 0 and not attisdropped
      ),
      'key', (
        select coalesce(json_agg(attname), '["id"]')
        from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey::smallint[])
        where indrelid = found.oid and indisprimary
      ),
      'parents', (
        select coalesce(json_agg(json_build_object(
          'column', own.attname, 'table', confrelid::regclass::text, 'key', theirs.attname, 'action', confdeltype
        )), '[]')
        from pg_constraint
        join pg_attribute as own on own.attrelid = conrelid and own.attnum = conkey[1]
        join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = confkey[1]
        where conrelid = found.oid and contype = 'f' and cardinality(conkey) = 1
      )
    ) as now
    from (
      select case when ${table} in ('users', 'meetings') then to_regclass(quote_ident(${table}))
        else to_regclass(format('%I.%I', current_schema(), ${table}::text)) end as oid
    ) as found
    where found.oid is not null`;
  if (!row) throw notReady(table);
  return row.now;
}

function notReady(what: string): CalendlySyncError {
  return new CalendlySyncError(
    'schema_not_ready',
    `The backup holds ${what}, which this database does not have.`,
    {
      hint: 'Apply the migrations first: calendly-sync migrate',
    },
  );
}
