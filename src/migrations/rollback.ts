/**
 * Undoes applied migrations with their down files, newest first, one transaction per file. What a file drops is written to a
 * backup first, in the same transaction. Prints nothing.
 */
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import type { Database, Sql } from '../database/connection.js';
import { CalendlySyncError } from '../errors.js';
import { backUp } from './backup/backup.js';
import { beginSection, type SectionWriter } from './backup/file.js';
import { countLosses, type LossLine, readLosses } from './backup/losses.js';
import { compareVersions, firstLineSays, type Migration, readMigrations, type SqlFile } from './files.js';
import { forget, type HistoryRow, peekHistory, readHistory } from './history.js';
import { type Attempt, DEFAULT_MAX_WAIT_MS, RETRY_LATER, withMigrationLock } from './lock.js';
import { explainingPermissions } from './permission-hint.js';
import { runOutside } from './run-concurrently.js';
import { runFile } from './run-file.js';
import { idOf, type MigrationId, targetVersion } from './versions.js';

export interface RollbackOptions extends Attempt {
  /** Undo everything above this version; absent: the newest only. `0` undoes all. */
  to?: string | undefined;
  migrations?: Migration[] | undefined;
  /** Where to write what is dropped; null: nowhere, it is lost. */
  backupFile: string | null;
}

export interface RollbackResult {
  rolled_back: MigrationId[];
  /** Where what was dropped has been written; null when there was nothing to write. */
  backup: string | null;
}

/** A migration that a rollback undoes, and how. */
export interface Step extends MigrationId {
  down: SqlFile;
}

export interface RollbackPlan {
  /** Newest first. */
  steps: Step[];
  losses: LossLine[];
}

/**
 * What a rollback would do. Reads only.
 * @throws CalendlySyncError `usage` for an unknown version, `migration_drift` when a down file is missing
 */
export function planRollback(
  database: Database,
  { to, migrations = readMigrations() }: Pick<RollbackOptions, 'to' | 'migrations'>,
): Promise<RollbackPlan> {
  return explainingPermissions(database, async () => {
    const steps = stepsOf(migrations, await peekHistory(database), to);
    const versions = steps.map(({ version }) => version);
    if (versions.length === 0) return { steps, losses: [] };
    return {
      steps,
      losses: await database.transaction((sql) => countLosses(sql, versions), { readOnly: true }),
    };
  });
}

/** Undoes the newest migration, or all above `to`. */
export function rollback(database: Database, options: RollbackOptions): Promise<RollbackResult> {
  return explainingPermissions(database, () => undoAll(database, options));
}

async function undoAll(database: Database, options: RollbackOptions): Promise<RollbackResult> {
  const migrations = options.migrations ?? readMigrations();
  const steps = stepsOf(migrations, await peekHistory(database), options.to);
  const rolledBack: MigrationId[] = [];
  let saved = 0;
  for (const step of steps) {
    const rows = await withMigrationLock(database, options, {
      file: basename(step.down.path),
      slow: true,
      run: (sql) => undo(database, sql, step, options),
    });
    if (rows === null) break;
    saved += rows;
    rolledBack.push(idOf(step));
  }
  if (saved === 0 && options.backupFile !== null) rmSync(options.backupFile, { force: true });
  return { rolled_back: rolledBack, backup: saved === 0 ? null : options.backupFile };
}

function stepsOf(migrations: Migration[], history: HistoryRow[], to: string | undefined): Step[] {
  const target = to === undefined || Number(to) === 0 ? to : (targetVersion(migrations, to) ?? to);
  const newestFirst = [...history].sort((a, b) => compareVersions(b.version, a.version));
  const undone =
    target === undefined
      ? newestFirst.slice(0, 1)
      : newestFirst.filter(({ version }) => compareVersions(version, target) > 0);
  return undone.map(({ version, name }) => {
    const down = migrations.find((migration) => Number(migration.version) === Number(version))?.down;
    if (down) return { version, name, down };
    throw new CalendlySyncError(
      'migration_drift',
      `There is no down file for ${version}_${name}; nothing was changed.`,
      {
        hint: 'Use the version of calendly-sync that applied it, or a newer one.',
      },
    );
  });
}

/** How many rows were saved; null when somebody else has changed the history meanwhile. */
async function undo(
  database: Database,
  sql: Sql,
  step: Step,
  options: RollbackOptions,
): Promise<number | null | typeof RETRY_LATER> {
  const history = await readHistory(sql, database.schema);
  if (history?.rows.at(-1)?.version !== step.version) return null;
  const section = await startBackup(database, sql, step, options.backupFile);
  try {
    if (section) {
      await backUp(sql, await readLosses(sql, [step.version]), section);
      await section.end();
    }
    if (firstLineSays(step.down.text, 'no-transaction')) {
      const { maxWaitMs = DEFAULT_MAX_WAIT_MS, signal, onEvent } = options;
      const outcome = await runOutside(database, sql, { file: step.down, maxWaitMs, signal, onEvent });
      if (outcome === 'building') return RETRY_LATER;
    } else {
      await runFile(sql, step.down);
    }
    await forget(sql, step.version, database.schema);
  } catch (thrown) {
    // Nothing was dropped; the next try writes what is there then.
    await section?.discard();
    throw thrown;
  }
  return section?.rows ?? 0;
}

/** A section for what this step drops; null when that holds no data, or no backup is wanted. */
async function startBackup(
  database: Database,
  sql: Sql,
  { version, name }: Step,
  path: string | null,
): Promise<SectionWriter | null> {
  if (path === null || (await readLosses(sql, [version])).length === 0) return null;
  const at = new Date().toISOString();
  return beginSection(path, { calendly_sync_backup: 1, version, name, at, database: database.label });
}
