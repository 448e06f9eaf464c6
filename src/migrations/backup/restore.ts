/**
 * Puts a rollback's backup back: rows that are missing, and values where a column still holds its default. What was
 * written since then stays; running it again changes nothing.
 */
import { basename } from 'node:path';
import type { Database, Sql } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import { compareVersions } from '../files.js';
import { readHistory } from '../history.js';
import { type Attempt, withMigrationLock } from '../lock.js';
import { useExactText } from './backup.js';
import { readBackup, type SectionHead, type TableHead } from './file.js';
import { readTarget, type Target } from './restore-target.js';

/** What became of one table's rows. */
export interface RestoredTable {
  version: string;
  table: string;
  /** In the backup. */
  rows: number;
  /** Written now. */
  restored: number;
  /** In the database as in the backup, once all is done: `restored` and those that were there. */
  equal: number;
  /** In the database with other values: they were written after the rollback, and stay. */
  changed: number;
  /** Left out, because the row that they belong to is gone. */
  orphaned: number;
}

const ROWS_PER_STATEMENT = 500;

/**
 * Restores a backup file; each migration's section in one transaction.
 * @throws CalendlySyncError `usage` when it is no backup, `schema_not_ready` when its migrations are not applied, `failed`
 *   when it is damaged or belongs to another database; nothing of that section is changed then
 */
export async function restore(
  database: Database,
  path: string,
  options: Attempt = {},
): Promise<RestoredTable[]> {
  // The whole file is checked before the first row is written. Of a version that was saved twice, the last is what was dropped.
  const newest = new Map<string, SectionHead>();
  for (const section of await readBackup(path)) newest.set(section.version, section);
  const oldestFirst = [...newest.values()].sort((a, b) => compareVersions(a.version, b.version));
  const result: RestoredTable[] = [];
  for (const section of oldestFirst) {
    const tables = await withMigrationLock(database, options, {
      file: basename(path),
      slow: true,
      run: (sql) => restoreSection(database, sql, path, section),
    });
    result.push(...tables);
  }
  return result;
}

async function restoreSection(
  database: Database,
  sql: Sql,
  path: string,
  { version, at }: SectionHead,
): Promise<RestoredTable[]> {
  const history = await readHistory(sql, database.schema);
  if (!history?.rows.some((row) => Number(row.version) === Number(version))) {
    throw new CalendlySyncError(
      'schema_not_ready',
      `The backup holds data of migration ${version}, which is not applied.`,
      {
        hint: `Run: calendly-sync migrate --restore ${path}`,
      },
    );
  }
  await useExactText(sql);
  const results = new Map<string, RestoredTable>();
  const targets: Target[] = [];
  let target: Target | null = null;
  let result: RestoredTable | null = null;
  let batch: string[] = [];
  const flush = async () => {
    if (target && result && batch.length > 0) await putBack(sql, target, batch, result);
    batch = [];
  };
  const isWanted = (section: SectionHead) => section.version === version && section.at === at;
  await readBackup(path, {
    async table(head: TableHead, section) {
      if (!isWanted(section)) return;
      await flush();
      target = await readTarget(sql, head);
      targets.push(target);
      result = results.get(head.table) ?? {
        version,
        table: head.table,
        rows: 0,
        restored: 0,
        equal: 0,
        changed: 0,
        orphaned: 0,
      };
      results.set(head.table, result);
    },
    async row(json, _head, section) {
      if (!isWanted(section)) return;
      batch.push(json);
      if (batch.length >= ROWS_PER_STATEMENT) await flush();
    },
    async end(section) {
      if (isWanted(section)) await flush();
    },
  });
  for (const { sequences, sqlName } of targets) {
    for (const { column, sequence } of sequences) {
      await sql.unsafe(`
        select setval('${sequence.replaceAll("'", "''")}', greatest(
          (select max(${quoteName(column)}) from ${sqlName}),
          (select last_value from ${sequence})
        )) where exists (select from ${sqlName})`);
    }
  }
  return [...results.values()].filter(({ rows }) => rows > 0);
}

async function putBack(sql: Sql, target: Target, batch: string[], result: RestoredTable): Promise<void> {
  const rows = `[${batch.join(',')}]`;
  if (target.otherIdentity) await requireSameRows(sql, target, target.otherIdentity, rows);
  const written = await sql.unsafe(target.write, [rows]);
  const [seen] = await sql.unsafe<{ equal: string; present: string; orphaned: string }[]>(target.compare, [
    rows,
  ]);
  result.rows += batch.length;
  result.restored += written.count;
  result.equal += Number(seen?.equal ?? 0);
  result.orphaned += Number(seen?.orphaned ?? 0);
  result.changed += batch.length - Number(seen?.equal ?? 0) - Number(seen?.orphaned ?? 0);
}

/** Other rows refer to these by id: an id that now means somebody else must not collect their rows. */
async function requireSameRows(sql: Sql, target: Target, query: string, rows: string): Promise<void> {
  const [other] = await sql.unsafe<{ key: string }[]>(query, [rows]);
  if (!other) return;
  throw new CalendlySyncError(
    'failed',
    `${target.sqlName} ${other.key} is another row now than the one in the backup; nothing of ${target.sqlName} was restored.`,
    { hint: 'Restore before the next sync: rollback, migrate --restore FILE, then sync.' },
  );
}
