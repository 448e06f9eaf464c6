/**
 * Applies the migrations that a database lacks, one transaction per file. Returns what happened; prints nothing.
 */
import { basename } from 'node:path';
import type { Database, Sql } from '../database/connection.js';
import { formatDuration } from '../duration.js';
import { type Migration, readMigrations } from './files.js';
import { createHistory, type HistoryRow, peekHistory, readHistory, record, recordEnd } from './history.js';
import { requireAgreement } from './history-check.js';
import { type Attempt, DEFAULT_MAX_WAIT_MS, RETRY_LATER, withMigrationLock } from './lock.js';
import { explainingPermissions } from './permission-hint.js';
import { idOf, type MigrationId, pendingOf, targetVersion } from './versions.js';

export interface MigrateOptions extends Attempt {
  /** Stop after this version; `22` and `022` are the same. */
  to?: string | undefined;
  /** The files; the tool's own when absent. */
  migrations?: Migration[] | undefined;
}

/** A migration that was applied now. */
export interface Applied extends MigrationId {
  /** How long its transaction took, without waiting for its turn. */
  ms: number;
  /** All that it makes was there: somebody ran the file by hand. */
  found: boolean;
}

export interface MigrateResult {
  applied: Applied[];
  already: MigrationId[];
  pending: MigrationId[];
}

export interface MigratePlan {
  /** What a migration would run now, in order. */
  due: Migration[];
  already: MigrationId[];
  pending: MigrationId[];
}

/**
 * What `migrate` would do. Reads only.
 * @throws CalendlySyncError `preflight`, `migration_drift`, `usage`
 */
export function planMigrate(
  database: Database,
  options: Pick<MigrateOptions, 'to' | 'migrations'>,
): Promise<MigratePlan> {
  return explainingPermissions(database, async () => {
    const { migrations, history, due } = await look(database, options);
    if (due.length > 0) {
      const { preflight } = await import('./schema/preflight.js');
      await preflight(database, due);
    }
    return { due, already: history.map(idOf), pending: pendingOf(migrations, history).map(idOf) };
  });
}

/**
 * Brings the database to the newest version, or to `to`.
 * @throws CalendlySyncError `preflight` and `migration_drift` before anything is changed; `migration_failed`, `locked` and
 *   `stopped` with the files before that one applied
 */
export function migrate(database: Database, options: MigrateOptions = {}): Promise<MigrateResult> {
  return explainingPermissions(database, () => applyAll(database, options));
}

async function applyAll(database: Database, options: MigrateOptions): Promise<MigrateResult> {
  const { migrations, history, due } = await look(database, options);
  if (due.length === 0) return resultOf(migrations, history, []);

  const { preflight } = await import('./schema/preflight.js');
  const { byHand } = await preflight(database, due, options);
  const applied: Applied[] = [];
  try {
    for (const migration of due) {
      const place: Place = { first: applied.length === 0, last: migration === due.at(-1) };
      const ms = await withMigrationLock(database, options, {
        file: basename(migration.up.path),
        slow: migration.slow || !migration.transactional,
        run: (sql) => apply(database, sql, migration, place, options),
      });
      if (ms !== null) applied.push({ ...idOf(migration), ms, found: byHand.has(migration.version) });
    }
  } catch (thrown) {
    // When even this fails, the others wait a few seconds longer; what went wrong first is what counts.
    if (applied.length > 0) await database.transaction(recordEnd).catch(() => {});
    throw thrown;
  }
  return resultOf(migrations, await peekHistory(database), applied);
}

/** Where a file stands among those that this process applies. */
interface Place {
  first: boolean;
  last: boolean;
}

async function look(database: Database, options: Pick<MigrateOptions, 'to' | 'migrations'>) {
  const migrations = options.migrations ?? readMigrations();
  const to = targetVersion(migrations, options.to);
  const history = await peekHistory(database);
  requireAgreement(migrations, history);
  return { migrations, history, due: pendingOf(migrations, history, to) };
}

function resultOf(migrations: Migration[], history: HistoryRow[], applied: Applied[]): MigrateResult {
  const now = new Set(applied.map(({ version }) => version));
  return {
    applied,
    already: history.filter(({ version }) => !now.has(version)).map(idOf),
    pending: pendingOf(migrations, history).map(idOf),
  };
}

/** Runs the file and records it; null when another process was faster. */
async function apply(
  database: Database,
  sql: Sql,
  migration: Migration,
  { first, last }: Place,
  options: MigrateOptions,
): Promise<number | null | typeof RETRY_LATER> {
  const history = await readHistory(sql, database.schema);
  if (history?.rows.some(({ version }) => Number(version) === Number(migration.version))) return null;
  if (first && history?.underWay) return RETRY_LATER;
  const start = performance.now();
  if (migration.transactional) {
    if (!history) await createHistory(sql, database.schema);
    const { runFile } = await import('./run-file.js');
    await told(migration, options, runFile(sql, migration.up, options.signal));
  } else {
    const { runOutside } = await import('./run-concurrently.js');
    const outcome = await runOutside(database, sql, {
      file: migration.up,
      maxWaitMs: options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS,
      signal: options.signal,
      onEvent: options.onEvent,
    });
    if (outcome === 'building') return RETRY_LATER;
    if (!history) await createHistory(sql, database.schema);
  }
  const ms = Math.round(performance.now() - start);
  await record(sql, migration, ms, !last);
  return ms;
}

/** Tells every second how long a slow file is at it. */
async function told(migration: Migration, { onEvent }: MigrateOptions, work: Promise<void>): Promise<void> {
  if (!migration.slow) return work;
  const start = performance.now();
  const timer = setInterval(() => {
    const text = `reading many rows, for ${formatDuration(performance.now() - start)}`;
    onEvent?.({ kind: 'progress', file: basename(migration.up.path), text });
  }, 1_000);
  return work.finally(() => clearInterval(timer));
}
