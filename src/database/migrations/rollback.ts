/** Undoes applied migrations with their down files, newest first, one transaction per file. Prints nothing. */
import { CalendlySyncError } from '../../errors.js';
import type { Database } from '../connection.js';
import { type Attempt, whenFree } from './attempt.js';
import { compareVersions, type Migration, readMigrations } from './files.js';
import { forget, type HistoryRow, readHistory } from './history.js';
import { idOf, type MigrationId } from './migrate.js';

export interface RollbackOptions extends Attempt {
  /** Undo everything above this version; absent: the newest only. `0` undoes all. */
  to?: string | undefined;
  migrations?: Migration[] | undefined;
}

export interface RollbackResult {
  rolled_back: MigrationId[];
  /** Where what was dropped has been written; null when there was nothing to write. */
  backup: string | null;
}

/** The applied migrations that a rollback would undo, newest first. */
export function undoneBy(history: HistoryRow[], to: string | undefined): HistoryRow[] {
  const newestFirst = [...history].sort((a, b) => compareVersions(b.version, a.version));
  return to === undefined
    ? newestFirst.slice(0, 1)
    : newestFirst.filter(({ version }) => compareVersions(version, to) > 0);
}

/** Undoes the newest migration, or all above `to`. */
export async function rollback(database: Database, options: RollbackOptions = {}): Promise<RollbackResult> {
  const migrations = options.migrations ?? readMigrations();
  const history = await database.transaction(readHistory, { readOnly: true });
  const rolledBack: MigrationId[] = [];
  for (const { version, name } of undoneBy(history, options.to)) {
    const down = migrations.find((migration) => Number(migration.version) === Number(version))?.down;
    if (!down) {
      throw new CalendlySyncError('migration_drift', `There is no down file for ${version}_${name}.`, {
        hint: 'Use the version of calendly-sync that applied it.',
      });
    }
    const done = await whenFree(database, options, async (sql) => {
      const now = await readHistory(sql);
      if (now.at(-1)?.version !== version) return false;
      await sql.unsafe(down.text);
      await forget(sql, version);
      return true;
    });
    if (done) rolledBack.push(idOf({ version, name }));
  }
  return { rolled_back: rolledBack, backup: null };
}
