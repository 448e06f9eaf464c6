/** Writes what a rollback is about to drop into a backup file, inside the transaction that drops it. */
import type { Sql } from '../../database/connection.js';
import { quoteName, quoteText } from '../../database/search-path.js';
import type { SectionWriter } from './file.js';
import { isNotDefault, type Loss, type LostColumns, type LostTable } from './losses.js';

const ROWS_PER_FETCH = 1_000;
/** Text that reads back as the same value, whatever the role's settings are. */
const EXACT_TEXT = `
  select set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),
    set_config('TimeZone', 'UTC', true), set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '3', true)`;

/** Makes the server write values as text that it reads back exactly, until the transaction ends. */
export async function useExactText(sql: Sql): Promise<void> {
  await sql.unsafe(EXACT_TEXT);
}

/**
 * Copies the lost rows and values, so that nothing can change between the copy and the drop. Our own tables are locked first
 * and copied then. Tables of others are read while everybody goes on, and locked only for the rows that a sync writes.
 */
export async function backUp(sql: Sql, losses: Loss[], section: SectionWriter): Promise<void> {
  await useExactText(sql);
  const tables = losses.filter((loss): loss is LostTable => loss.kind === 'table');
  const columns = losses.filter((loss): loss is LostColumns => loss.kind === 'columns');
  const synced = await syncedRows(sql);
  for (const loss of columns) {
    await section.table(headOf(loss));
    await copy(sql, columnsQuery(loss, synced && `(${synced(loss)}) is not true`), section);
  }
  for (const { sqlName } of tables) await sql.unsafe(`lock table ${sqlName} in access exclusive mode`);
  for (const loss of tables) {
    await section.table(headOf(loss));
    const values = loss.columns.map(({ name }) => `${quoteName(name)}::text`);
    await copy(sql, `select to_json(array[${values.join(', ')}])::text as row from ${loss.sqlName}`, section);
  }
  await lockWithinOneTimeout(sql, columns);
  if (!synced) return;
  // Everybody waits now, and must not wait for a scan of the whole table.
  await sql`select set_config('enable_seqscan', 'off', true)`;
  for (const loss of columns) {
    await section.table(headOf(loss));
    await copy(sql, columnsQuery(loss, synced(loss)), section);
  }
}

function headOf(loss: Loss) {
  const names = loss.columns.map(({ name }) => name);
  return loss.kind === 'table'
    ? { table: loss.table, kind: 'rows' as const, columns: names }
    : { table: loss.table, kind: 'columns' as const, columns: ['id', ...names] };
}

function columnsQuery({ sqlName, columns }: LostColumns, condition: string | null): string {
  const values = ['id', ...columns.map(({ name }) => quoteName(name))].map((name) => `${name}::text`);
  return `
    select to_json(array[${values.join(', ')}])::text as row from ${sqlName} as lost
    where (${columns.map(isNotDefault).join(' or ')})${condition === null ? '' : ` and ${condition}`}`;
}

/** Rows of tables of others that a sync may be writing just now; null when no sync can run, because there are no accounts any more. */
async function syncedRows(sql: Sql): Promise<((loss: LostColumns) => string) | null> {
  const [accounts] = await sql<{ name: string; type: string }[]>`
    select attrelid::regclass::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = to_regclass(format('%I.calendly_accounts', current_schema())) and attname = 'user_id'`;
  if (!accounts) return null;
  // As constants, so that the planner sees how few they are and goes by the index.
  const users = await sql.unsafe<{ id: string }[]>(`select user_id::text as id from ${accounts.name}`);
  const ids = `any (array[${users.map(({ id }) => quoteText(id)).join(', ')}]::${accounts.type}[])`;
  return ({ table }) => {
    if (table === 'users') return `lost.id = ${ids}`;
    if (table === 'meetings') return `lost.meeting_source = 'calendly' and lost.user_id = ${ids}`;
    return 'true';
  };
}

/**
 * Whoever queues behind us waits for all these locks: together they take one lock timeout at most. When the application wants the
 * tables in the other order, waiting helps nobody: so the second is waited for only shortly, and all of it ends before
 * deadlock_timeout, after which Postgres would end the application's statement instead of ours.
 */
async function lockWithinOneTimeout(sql: Sql, losses: LostColumns[]): Promise<void> {
  const [setting] = await sql<{ ms: number }[]>`
    select min(setting::integer * case name when 'deadlock_timeout' then 0.9 else 1 end)::integer as ms
    from pg_settings where name in ('lock_timeout', 'deadlock_timeout')`;
  const budget = setting?.ms ?? 0;
  const start = performance.now();
  for (const [index, sqlName] of [...new Set(losses.map((loss) => loss.sqlName))].sort().entries()) {
    const wait = index === 0 ? budget * 0.75 : Math.min(budget * 0.25, budget - (performance.now() - start));
    await sql`select set_config('lock_timeout', ${`${Math.max(10, Math.round(wait))}ms`}, true)`;
    await sql.unsafe(`lock table ${sqlName} in access exclusive mode`);
  }
}

async function copy(sql: Sql, query: string, section: SectionWriter): Promise<void> {
  for await (const rows of sql.unsafe<{ row: string }[]>(query).cursor(ROWS_PER_FETCH)) {
    for (const { row } of rows) await section.row(row);
  }
}
