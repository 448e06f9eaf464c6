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
import { type BackupTable, readManifest, requireBackup } from './backup.js';
import { type Column, locate } from './losses.js';

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

/** The table that the copy's rows go back to. */
interface Target {
  name: string;
  /** The columns of the copy. */
  columns: (Column & { sequence: string | null })[];
  key: string[];
  /** Foreign keys of the copy's columns. `action` n: a deleted parent leaves null behind. */
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
export async function restore(
  database: Database,
  name: string,
  options: LockOptions = {},
): Promise<RestoredTable[]> {
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
}

async function restoreAll(sql: Sql, name: string, history: HistoryRow[]): Promise<RestoredTable[]> {
  const tables = await readManifest(sql, name);
  const pending = tables.find(({ version }) => !history.some((row) => row.version === version));
  if (pending)
    throw new CalendlySyncError(
      'schema_not_ready',
      `The backup holds data of migration ${pending.version}, which is not applied; nothing was restored.`,
      { hint: `Run: calendly-sync migrate --restore ${name}` },
    );
  // Newest migrations were dropped first; what they refer to has to be there again.
  tables.sort(
    (a, b) =>
      Number(a.version) - Number(b.version) ||
      Number(b.source === 'users') - Number(a.source === 'users') ||
      a.position - b.position,
  );
  const results: RestoredTable[] = [];
  for (const table of tables) results.push(await restoreTable(sql, name, table));
  return results;
}

async function restoreTable(sql: Sql, backup: string, table: BackupTable): Promise<RestoredTable> {
  const copy = `${quoteName(backup)}.${quoteName(table.copy)}`;
  const target = await readTarget(sql, copy, table);
  const { name, key, columns } = target;
  const isSame = key.map((column) => `there.${quoteName(column)} = saved.${quoteName(column)}`).join(' and ');
  const { write, equal, orphaned } = table.kind === 'rows' ? rowsOf(target, copy) : valuesOf(target, copy);
  await requireSameRows(sql, target, `${copy} as saved join ${name} as there on ${isSame}`, table);
  const isMemory = table.source === 'calendly_events';
  if (isMemory) await sql.unsafe(forgetAdoption(name, copy));
  const { count: restored } = await sql.unsafe(write);
  if (isMemory) await sql.unsafe(markInserted(name, copy));
  for (const column of table.kind === 'rows' ? columns : [])
    if (column.sequence !== null)
      await sql.unsafe(`
        select setval(${quoteText(column.sequence)}, greatest(
          (select max(${quoteName(column.name)}) from ${name}), (select last_value from ${column.sequence})))
        where exists (select from ${name})`);
  const [seen] = await sql.unsafe<{ equal: number; orphaned: number }[]>(`
    select (count(*) filter (where ${equal}))::float8 as equal, (count(*) filter (where ${orphaned}))::float8 as orphaned
    from ${copy} as saved left join ${name} as there on ${isSame}`);
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
function rowsOf({ name, columns, parents }: Target, copy: string): Statements {
  const gone = ({ column, table, key }: Target['parents'][number]) =>
    `(saved.${quoteName(column)} is not null and not exists (
      select from ${table} as parent where parent.${quoteName(key)} = saved.${quoteName(column)}))`;
  const owners = parents.filter(({ action }) => action !== 'n').map(gone);
  const orphaned = owners.join(' or ') || 'false';
  const names = columns.map((column) => quoteName(column.name));
  // Where a deleted parent would have left null behind, it does so here too.
  const values = columns.map((column) => {
    const parent = parents.find((item) => item.column === column.name && item.action === 'n');
    const saved = `saved.${quoteName(column.name)}`;
    return parent ? `case when not ${gone(parent)} then ${saved} end` : saved;
  });
  return {
    write: `
      insert into ${name} (${names.join(', ')}) overriding system value
      select ${values.join(', ')} from ${copy} as saved where not (${orphaned}) on conflict do nothing`,
    equal: names
      .map((column, index) => `there.${column}::text is not distinct from (${values[index]})::text`)
      .join(' and '),
    orphaned,
  };
}

/** Values of columns on a table that stayed: written where the columns are as the migration left them. */
function valuesOf({ name, columns }: Target, copy: string): Statements {
  const values = columns
    .filter((column) => column.name !== 'id')
    .map((column) => ({ name: quoteName(column.name), default: column.default }));
  const same = values
    .map((column) => `there.${column.name}::text is not distinct from saved.${column.name}::text`)
    .join(' and ');
  return {
    write: `
      update ${name} as there set ${values.map((column) => `${column.name} = saved.${column.name}`).join(', ')}
      from ${copy} as saved
      where there.id = saved.id and not (${same})
        and ${values.map((column) => `there.${column.name} is not distinct from ${column.default}`).join(' and ')}`,
    equal: `there.id is not null and ${same}`,
    orphaned: 'there.id is null',
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

/** Other rows refer to these by id: an id that now means somebody else must not collect their rows. */
async function requireSameRows(
  sql: Sql,
  { name, key }: Target,
  pairs: string,
  { kind, source }: BackupTable,
): Promise<void> {
  const identity = kind === 'rows' ? IDENTITY[source] : undefined;
  if (!identity) return;
  const differs = identity.map((column) => `there.${column}::text is distinct from saved.${column}::text`);
  const [other] = await sql.unsafe<{ key: string }[]>(`
    select concat_ws(', ', ${key.map((column) => `saved.${quoteName(column)}`).join(', ')}) as key
    from ${pairs} where ${differs.join(' or ')} limit 1`);
  if (!other) return;
  throw new CalendlySyncError(
    'failed',
    `${name} ${other.key} is another row now than the one in the backup; nothing was restored.`,
    {
      hint: 'Restore before the next sync: calendly-sync rollback, then calendly-sync migrate --restore NAME, then sync.',
    },
  );
}

/** A column or table that is gone fails in the statement that writes to it, with Postgres's own words. */
async function readTarget(sql: Sql, copy: string, { source, kind }: BackupTable): Promise<Target> {
  const [target] = await sql<[Target]>`
    with saved as (
      select attname, attnum from pg_attribute
      where attrelid = to_regclass(${copy}) and attnum > 0 and not attisdropped
    ), target as (select ${sql.unsafe(locate(quoteText(source)))} as relation)
    select coalesce(relation::regclass::text, ${source}) as name, (
        select json_agg(json_build_object('name', saved.attname, 'default', coalesce(pg_get_expr(adbin, adrelid), 'null'),
          'sequence', case when own.attnum > 0 then pg_get_serial_sequence(relation::regclass::text, own.attname) end) order by saved.attnum)
        from saved
        left join pg_attribute as own on own.attrelid = relation and own.attname = saved.attname and not own.attisdropped
        left join pg_attrdef on adrelid = relation and adnum = own.attnum
        where coalesce(own.attgenerated, '') = '') as columns,
      case when ${kind}::text = 'columns' then '["id"]' else (
        select coalesce(json_agg(attname), '["id"]')
        from pg_index join pg_attribute on attrelid = indrelid and attnum = any (indkey::smallint[])
        where indrelid = relation and indisprimary) end as key, (
        select coalesce(json_agg(json_build_object(
          'column', own.attname, 'table', confrelid::regclass::text, 'key', theirs.attname, 'action', confdeltype)), '[]')
        from pg_constraint
        join pg_attribute as own on own.attrelid = conrelid and own.attnum = conkey[1]
        join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = confkey[1]
        where conrelid = relation and contype = 'f' and cardinality(conkey) = 1 and own.attname in (select attname from saved)
      ) as parents
    from target`;
  return target;
}
