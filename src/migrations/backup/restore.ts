/**
 * Puts a rollback's backup back: rows that are missing, and values where a column still holds its default. What was
 * written since then stays; running it again changes nothing.
 */
import type { Database, Sql } from '../../database/connection.js';
import { quoteText } from '../../database/literal-sql.js';
import { quoteName } from '../../database/search-path.js';
import { adoptMeetings } from '../../database/tables/adopt-meetings.js';
import { CalendlySyncError } from '../../errors.js';
import { type HistoryRow, historyText } from '../history.js';
import { type LockOptions, runUnderLock } from '../lock.js';
import { explainingPermissions } from '../permission-hint.js';
import { type BackupTable, readManifest, requireBackup } from './backup.js';

/** What became of one table's rows. */
export interface RestoredTable {
  version: string;
  table: string;
  /** In the backup. */
  rows: number;
  /** Written now. */
  restored: number;
  /** In the database as in the backup, when all is done: `restored` and those that were there. */
  equal: number;
  /** In the database with other values: they were written after the rollback, and stay. */
  changed: number;
  /** Left out, because the row that they belong to is gone. */
  orphaned: number;
}

interface TableNow {
  name: string;
  /** Columns that the copy has too. */
  columns: { name: string; default: string; sequence: string | null }[];
  /** Columns of the copy that the table lacks. */
  lacking: string[];
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
 * Restores a backup in one transaction.
 * @throws CalendlySyncError `usage` if there is no such backup, `schema_not_ready` if its migrations are not
 * applied, `failed` if ids mean other rows now; nothing is changed then
 */
export function restore(
  database: Database,
  name: string,
  options: LockOptions = {},
): Promise<RestoredTable[]> {
  return explainingPermissions(database, async () => {
    await requireBackup(database, name);
    const done: RestoredTable[][] = [];
    const step = {
      file: name,
      slow: true,
      lookup: () => historyText(database.schema),
      run: ({ sql }: { sql: Sql }, history: object[]) => restoreAll(sql, name, history as HistoryRow[]),
    };
    await runUnderLock(database, options, [step], done);
    const restored = done.flat();
    // What is known of rows of another integration is back; the others are adopted now, as `migrate` would have.
    if (restored.some(({ version }) => Number(version) <= 3))
      await adoptMeetings(database, { signal: options.signal });
    return restored;
  });
}

async function restoreAll(sql: Sql, name: string, history: HistoryRow[]): Promise<RestoredTable[]> {
  const tables = await readManifest(sql, name);
  const applied = new Set(history.map(({ version }) => version));
  for (const { version } of tables) {
    if (!applied.has(version)) throw notReady(`data of migration ${version}, which is not applied`, name);
  }
  const results: RestoredTable[] = [];
  // Newest migrations were dropped first; what they refer to has to be there again.
  const oldestFirst = [...tables].sort(
    (a, b) =>
      Number(a.version) - Number(b.version) ||
      Number(b.source === 'users') - Number(a.source === 'users') ||
      a.position - b.position,
  );
  for (const table of oldestFirst) results.push(await restoreTable(sql, name, table));
  return results;
}

async function restoreTable(sql: Sql, backup: string, table: BackupTable): Promise<RestoredTable> {
  const copy = `${quoteName(backup)}.${quoteName(table.copy)}`;
  const now = await readTable(sql, backup, table);
  if (now.lacking.length > 0)
    throw notReady(`${table.source}.${now.lacking[0]}, which this database lacks`, backup);
  const { write, equal, orphaned } = table.kind === 'rows' ? rowsOf(now, copy) : valuesOf(now, copy);
  if (table.kind === 'rows') await requireSameRows(sql, now, copy, table.source);
  const isMemory = table.source === 'calendly_events';
  if (isMemory) await sql.unsafe(forgetAdoption(now.name, copy));
  const { count: restored } = await sql.unsafe(write);
  if (isMemory) await sql.unsafe(markInserted(now.name, copy));
  const [seen] = await sql.unsafe<{ equal: number; orphaned: number }[]>(`
    select (count(*) filter (where ${equal}))::float8 as equal, (count(*) filter (where ${orphaned}))::float8 as orphaned
    from ${copy} as saved left join ${now.name} as there on ${matches(now.key)}`);
  for (const { name, sequence } of table.kind === 'rows' ? now.columns : []) {
    if (sequence === null) continue;
    await sql.unsafe(`
      select setval(${quoteText(sequence)}, greatest(
        (select max(${quoteName(name)}) from ${now.name}), (select last_value from ${sequence})))
      where exists (select from ${now.name})`);
  }
  const counts = { equal: seen?.equal ?? 0, orphaned: seen?.orphaned ?? 0 };
  const changed = table.rows - counts.equal - counts.orphaned;
  return { version: table.version, table: table.source, rows: table.rows, restored, changed, ...counts };
}

interface Statements {
  write: string;
  /** Conditions over `saved` and `there`. */
  equal: string;
  orphaned: string;
}

/** Rows of a table that was dropped. */
function rowsOf({ name, columns, parents }: TableNow, copy: string): Statements {
  const gone = ({ column, table, key }: TableNow['parents'][number]) =>
    `(saved.${quoteName(column)} is not null and not exists (
      select from ${table} as parent where parent.${quoteName(key)} = saved.${quoteName(column)}))`;
  const orphaned =
    parents
      .filter(({ action }) => action !== 'n')
      .map(gone)
      .join(' or ') || 'false';
  // Where a deleted parent would have left null behind, it does so here too.
  const value = (column: string) => {
    const parent = parents.find((item) => item.column === column && item.action === 'n');
    return parent
      ? `case when not ${gone(parent)} then saved.${quoteName(column)} end`
      : `saved.${quoteName(column)}`;
  };
  return {
    write: `
      insert into ${name} (${columns.map((column) => quoteName(column.name)).join(', ')}) overriding system value
      select ${columns.map((column) => value(column.name)).join(', ')} from ${copy} as saved
      where not (${orphaned}) on conflict do nothing`,
    equal: columns
      .map(
        (column) =>
          `there.${quoteName(column.name)}::text is not distinct from (${value(column.name)})::text`,
      )
      .join(' and '),
    orphaned,
  };
}

/** Removes what an adoption after the rollback wrote of the same rows, and no sync has changed since. */
function forgetAdoption(name: string, copy: string): string {
  return `
    delete from ${name} as there using ${copy} as saved
    where there.meeting_id = saved.meeting_id and there.adopted and there.written_at = 'epoch'
      and there.digest is null and there.fingerprint is null`;
}

/** Restores the mark "inserted by the sync", even if a later `migrate` adopted the row. */
function markInserted(name: string, copy: string): string {
  return `
    update ${name} as there set adopted = false from ${copy} as saved
    where there.meeting_id = saved.meeting_id and there.external_id = saved.external_id
      and there.adopted and not saved.adopted`;
}

/** Values of columns on a table that stayed: written where the columns are as the migration left them. */
function valuesOf({ name, columns }: TableNow, copy: string): Statements {
  const values = columns.filter((column) => column.name !== 'id');
  const quoted = values.map((column) => quoteName(column.name));
  const same = quoted
    .map((column) => `there.${column}::text is not distinct from saved.${column}::text`)
    .join(' and ');
  return {
    write: `
      update ${name} as there set ${quoted.map((column) => `${column} = saved.${column}`).join(', ')}
      from ${copy} as saved
      where there.id = saved.id and not (${same})
        and ${values.map((column) => `there.${quoteName(column.name)} is not distinct from ${column.default}`).join(' and ')}`,
    equal: `there.id is not null and ${same}`,
    orphaned: 'there.id is null',
  };
}

function matches(key: string[]): string {
  return key.map((name) => `there.${quoteName(name)} = saved.${quoteName(name)}`).join(' and ');
}

/** Other rows refer to these by id: an id that now means somebody else must not collect their rows. */
async function requireSameRows(
  sql: Sql,
  { name, key }: TableNow,
  copy: string,
  source: string,
): Promise<void> {
  const identity = IDENTITY[source];
  if (!identity) return;
  const [other] = await sql.unsafe<{ key: string }[]>(`
    select ${key.map((column) => `saved.${quoteName(column)}::text`).join(` || ', ' || `)} as key
    from ${copy} as saved join ${name} as there on ${matches(key)}
    where ${identity.map((column) => `there.${quoteName(column)}::text is distinct from saved.${quoteName(column)}::text`).join(' or ')}
    limit 1`);
  if (!other) return;
  throw new CalendlySyncError(
    'failed',
    `${name} ${other.key} is another row now than the one in the backup; nothing was restored.`,
    {
      hint: 'Restore before the next sync: calendly-sync rollback, then calendly-sync migrate --restore NAME, then sync.',
    },
  );
}

async function readTable(sql: Sql, backup: string, { source, copy, kind }: BackupTable): Promise<TableNow> {
  const [row] = await sql<{ now: TableNow }[]>`
    with saved as (
      select attname from pg_attribute
      where attrelid = to_regclass(format('%I.%I', ${backup}::text, ${copy}::text)) and attnum > 0 and not attisdropped
    )
    select json_build_object(
      'name', found.oid::regclass::text,
      'columns', (
        select json_agg(json_build_object('name', attname, 'default', coalesce(pg_get_expr(adbin, adrelid), 'null'),
          'sequence', pg_get_serial_sequence(found.oid::regclass::text, attname)) order by attnum)
        from saved join pg_attribute using (attname) left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attrelid = found.oid and not attisdropped and attgenerated = ''),
      'lacking', (
        select coalesce(json_agg(attname), '[]') from saved
        where attname not in (select attname from pg_attribute where attrelid = found.oid and not attisdropped)),
      'key', case when ${kind}::text = 'columns' then '["id"]' else (
        select coalesce(json_agg(attname), '["id"]')
        from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey::smallint[])
        where indrelid = found.oid and indisprimary) end,
      'parents', (
        select coalesce(json_agg(json_build_object(
          'column', own.attname, 'table', confrelid::regclass::text, 'key', theirs.attname, 'action', confdeltype)), '[]')
        from pg_constraint
        join pg_attribute as own on own.attrelid = conrelid and own.attnum = conkey[1]
        join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = confkey[1]
        where conrelid = found.oid and contype = 'f' and cardinality(conkey) = 1 and own.attname in (select attname from saved))
    ) as now
    from (
      select coalesce(to_regclass(format('%I.%I', current_schema(), ${source}::text)),
        case when ${source}::text in ('users', 'meetings') then to_regclass(${source}::text) end) as oid
    ) as found
    where found.oid is not null`;
  if (!row) throw notReady(`the table ${source}, which this database lacks`, backup);
  return row.now;
}

function notReady(what: string, backup: string): CalendlySyncError {
  return new CalendlySyncError('schema_not_ready', `The backup holds ${what}; nothing was restored.`, {
    hint: `Run: calendly-sync migrate --restore ${backup}`,
  });
}
