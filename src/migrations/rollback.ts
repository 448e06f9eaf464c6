/**
 * Undoes applied migrations with their down files, newest first, one transaction per file: what a file drops is
 * copied first, what it replaced is restored after, and nothing of ours may be left. Prints nothing.
 */
import { basename } from 'node:path';
import type { Database } from '../database/connection.js';
import { quoteText } from '../database/literal-sql.js';
import { CalendlySyncError } from '../errors.js';
import { backUp } from './backup/backup.js';
import { countLosses, type LossLine, readLosses } from './backup/losses.js';
import {
  compareVersions,
  idOf,
  type Migration,
  type MigrationId,
  readMigrations,
  type SqlFile,
  targetVersion,
} from './files.js';
import { beforeText, forget, type HistoryRow, historyText, marksText, readState } from './history.js';
import { type Locked, type LockOptions, runUnderLock, withResult } from './lock.js';
import { runFile } from './run-file.js';
import { type Catalog, enterCatalog, leaveCatalog, OBJECTS } from './schema/catalog.js';
import { countSynced, deleteSynced, NO_SYNCED_ROWS, type SyncedRows } from './synced-rows.js';
import { shutOutSyncs } from './writers.js';

export interface RollbackOptions extends LockOptions {
  /** Undo everything above this version; absent: the newest only. `0` undoes all. */
  to?: string | undefined;
  migrations?: Migration[] | undefined;
  /** Schema to copy what is dropped into; null: nowhere, it is lost. */
  backup: string | null;
  /** Delete the rows of a host's `meetings` that the sync inserted and no table of the application refers to. */
  deleteSynced?: boolean | undefined;
}

export interface RollbackResult {
  rolled_back: MigrationId[];
  /** The schema that holds what was dropped; null if there was nothing to copy. */
  backup: string | null;
}

/** A migration that a rollback undoes, and how. */
export interface UndoStep extends MigrationId {
  down: SqlFile;
  made: HistoryRow['made'];
}

export interface RollbackPlan extends SyncedRows {
  /** Newest first. */
  steps: UndoStep[];
  losses: LossLine[];
}

/**
 * What a rollback would do. Reads only.
 * @throws CalendlySyncError `usage` for an unknown version, `migration_drift` if a down file is missing
 */
export async function planRollback(
  database: Database,
  { to, migrations = readMigrations() }: Pick<RollbackOptions, 'to' | 'migrations'>,
): Promise<RollbackPlan> {
  const { history } = await readState(database);
  const steps = stepsOf(migrations, history ?? [], to);
  if (steps.length === 0) return { steps, losses: [], ...NO_SYNCED_ROWS };
  return database.transaction(
    async (sql) => {
      const losses = await countLosses(sql, steps);
      return { steps, losses, ...(staysBehind(steps) ? await countSynced(sql) : NO_SYNCED_ROWS) };
    },
    { readOnly: true },
  );
}

/** 001 goes, and the table of meetings is not ours to drop. */
function staysBehind(steps: UndoStep[]): boolean {
  return steps.some(({ version, made }) => Number(version) === 1 && !('table meetings' in made));
}

/**
 * Undoes the newest migration, or all above `to`.
 * @throws CalendlySyncError as `migrate`, with the result so far
 */
export async function rollback(database: Database, options: RollbackOptions): Promise<RollbackResult> {
  const { history, catalog } = await readState(database, options);
  const steps = stepsOf(options.migrations ?? readMigrations(), history ?? [], options.to);
  const deleteSynced = options.deleteSynced && staysBehind(steps);
  const done: ((MigrationId & { rows: number }) | null)[] = [];
  const result = () => {
    const ran = done.filter((item) => item !== null);
    return { rolled_back: ran.map(idOf), backup: ran.some(({ rows }) => rows > 0) ? options.backup : null };
  };
  const work = runUnderLock(
    database,
    options,
    steps.map((step) => ({
      file: basename(step.down.path),
      slow: true,
      prepare: beforeText(database.schema),
      lookup: () => historyText(database.schema),
      run: (locked, found) =>
        undo(database, locked, { history: found as HistoryRow[], catalog }, step, {
          ...options,
          deleteSynced,
        }),
    })),
    done,
  );
  await withResult(work, done, result);
  return result();
}

function stepsOf(migrations: Migration[], history: HistoryRow[], to: string | undefined): UndoStep[] {
  const target = to === undefined || Number(to) === 0 ? to : (targetVersion(migrations, to) ?? to);
  const newestFirst = [...history].sort((a, b) => compareVersions(b.version, a.version));
  const undone =
    target === undefined
      ? newestFirst.slice(0, 1)
      : newestFirst.filter(({ version }) => compareVersions(version, target) > 0);
  return undone.map(({ version, name, made }) => {
    const down = migrations.find((migration) => Number(migration.version) === Number(version))?.down;
    if (down) return { version, name, made, down };
    throw new CalendlySyncError(
      'migration_drift',
      `There is no down file for ${version}_${name}; nothing was changed.`,
      { hint: 'Use the version of calendly-sync that applied it, or a newer one.' },
    );
  });
}

/** How many rows were copied; null if somebody else has changed the history meanwhile. */
async function undo(
  { schema }: Database,
  locked: Locked,
  { history, catalog }: { history: HistoryRow[]; catalog: Catalog },
  step: UndoStep,
  options: RollbackOptions,
): Promise<(MigrationId & { rows: number }) | null> {
  const { sql, query } = locked;
  const row = history.at(-1);
  if (row?.version !== step.version) return null;
  await shutOutSyncs(locked, catalog, history);
  const losses = await readLosses(sql, row);
  let rows = options.backup === null ? 0 : await backUp(sql, losses, options.backup);
  // The last moment at which the sync's memory says which rows it inserted.
  if (options.deleteSynced && 'table calendly_events' in row.made)
    rows += await deleteSynced(sql, options.backup);
  await query(marksText(catalog, row));
  const results = await runFile<{ key: string; same: boolean }>(locked, step.down, {
    after: existingText(schema, row),
  });
  const left = results.filter(({ key, same }) => same && key in row.made);
  if (left.length > 0) {
    throw new CalendlySyncError(
      'migration_failed',
      `${basename(step.down.path)} left ${left.map(({ key }) => key).join(', ')}; it was rolled back, nothing was changed.`,
      { hint: 'Drop what is left by hand, then run the same command again.' },
    );
  }
  const exists = new Set(results.map(({ key }) => key));
  for (const [key, { create, rights }] of Object.entries(row.before)) {
    if (create && !exists.has(key)) await query(create);
    if (rights) await query(rights);
  }
  await forget(sql, step.version, schema);
  return { ...idOf(step), rows };
}

/** A query for those objects of `made` and `before` that exist, and whether they are the ones from before the file. */
function existingText(schema: string | null, { made, before }: HistoryRow): string {
  const keys = [...Object.keys(made), ...Object.keys(before)].map(quoteText);
  return `${enterCatalog(schema)}select set_config('calendly_sync.left', (
    select coalesce(json_agg(json_build_object('key', new.key, 'same', old.key is not null)), '[]')
    from (${OBJECTS}) as new
    left join json_to_recordset(current_setting('calendly_sync.before')::json) as old (key text, oid text) using (key, oid)
    where new.key = any (array[${keys.join(', ')}]::text[]))::text, true);
${leaveCatalog()}select * from json_to_recordset(current_setting('calendly_sync.left')::json) as object (key text, same boolean);`;
}
