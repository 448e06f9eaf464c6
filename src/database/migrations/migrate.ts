/**
 * Applies the migrations that a database lacks, one transaction per file. Returns what happened; prints nothing.
 */
import { CalendlySyncError } from '../../errors.js';
import type { Database } from '../connection.js';
import { type Attempt, whenFree } from './attempt.js';
import { compareVersions, type Migration, readMigrations } from './files.js';
import { ensureHistory, type HistoryRow, readHistory, record } from './history.js';

/** One migration, as it is named in results. */
export interface MigrationId {
  version: string;
  name: string;
}

export interface MigrateOptions extends Attempt {
  /** Stop after this version; `22` and `022` are the same. */
  to?: string | undefined;
  /** The files; the tool's own when absent. */
  migrations?: Migration[] | undefined;
}

export interface MigrateResult {
  applied: (MigrationId & { ms: number })[];
  already: MigrationId[];
  pending: MigrationId[];
}

/**
 * Brings the database to the newest version, or to `to`.
 * @throws CalendlySyncError `migration_failed`, `migration_drift`, `locked`; files before the failing one stay applied
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<MigrateResult> {
  const migrations = options.migrations ?? readMigrations();
  const to = targetVersion(migrations, options.to);
  const history = await database.transaction(readHistory, { readOnly: true });
  const applied: MigrateResult['applied'] = [];
  for (const migration of pendingOf(migrations, history)) {
    if (to !== null && compareVersions(migration.version, to) > 0) break;
    const ms = await whenFree(database, options, (sql) => apply(sql, migration));
    if (ms !== null) applied.push({ ...idOf(migration), ms });
  }
  const now = applied.length === 0 ? history : await database.transaction(readHistory, { readOnly: true });
  const newly = new Set(applied.map(({ version }) => version));
  return {
    applied,
    already: now.filter(({ version }) => !newly.has(version)).map(idOf),
    pending: pendingOf(migrations, now).map(idOf),
  };
}

/** The migrations that the history does not hold. */
export function pendingOf(migrations: Migration[], history: HistoryRow[]): Migration[] {
  const seen = new Set(history.map(({ version }) => Number(version)));
  return migrations.filter(({ version }) => !seen.has(Number(version)));
}

/** A version as a user writes it, checked against the files. Null means the newest. */
export function targetVersion(migrations: Migration[], to: string | undefined): string | null {
  if (to === undefined) return null;
  const found = migrations.find(({ version }) => /^\d+$/.test(to) && Number(version) === Number(to));
  if (found) return found.version;
  throw new CalendlySyncError('usage', `There is no migration ${to}.`, {
    hint: `There are: ${migrations.map(({ version }) => version).join(', ')}`,
  });
}

/** Version and name, without the rest. */
export function idOf({ version, name }: MigrationId): MigrationId {
  return { version, name };
}

/** Runs the file and records it; null when another process was faster. */
async function apply(sql: Parameters<typeof readHistory>[0], migration: Migration): Promise<number | null> {
  const history = await readHistory(sql);
  if (history.some(({ version }) => Number(version) === Number(migration.version))) return null;
  const start = performance.now();
  await ensureHistory(sql);
  try {
    await sql.unsafe(migration.up.text);
  } catch (cause) {
    throw new CalendlySyncError(
      'migration_failed',
      `${migration.version}_${migration.name}.up.sql: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  const ms = Math.round(performance.now() - start);
  await record(sql, migration, ms);
  return ms;
}
