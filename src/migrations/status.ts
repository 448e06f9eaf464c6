/** What is applied, what is pending, and where history, files and schema differ. Reads only. */
import type { Database } from '../database/connection.js';
import { idOf, type Migration, type MigrationId, pendingOf, readMigrations } from './files.js';
import { readState } from './history.js';
import { type Disagreement, disagreements } from './history-check.js';
import { type Drift, driftOf } from './schema/drift.js';

export interface MigrationStatus {
  applied: (MigrationId & { applied_at: Date })[];
  pending: MigrationId[];
  /** Files that were edited, are missing or come too late. */
  files: Disagreement[];
  /** What the schema lacks, or has otherwise than the applied files created it; `migrate` repairs it. */
  drift: Drift[];
}

/** Compares the database with the files. */
export async function migrationStatus(
  database: Database,
  { migrations = readMigrations() }: { migrations?: Migration[] | undefined } = {},
): Promise<MigrationStatus> {
  const { history, catalog } = await readState(database);
  const rows = history ?? [];
  return {
    applied: rows.map(({ version, name, applied_at }) => ({ version, name, applied_at })),
    pending: pendingOf(migrations, rows).map(idOf),
    files: disagreements(migrations, rows),
    drift: driftOf(catalog, rows),
  };
}
