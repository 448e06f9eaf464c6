/** What is applied, what is pending, and where history, files and schema differ. Reads only. */
import type { Database } from '../database/connection.js';
import { type Migration, readMigrations } from './files.js';
import { readHistory } from './history.js';
import { type Disagreement, disagreements } from './history-check.js';
import { explainingPermissions } from './permission-hint.js';
import { readCatalog } from './schema/catalog.js';
import { type Drift, driftOf } from './schema/drift.js';
import { idOf, type MigrationId, pendingOf } from './versions.js';

export interface MigrationStatus {
  applied: (MigrationId & { applied_at: Date })[];
  pending: MigrationId[];
  /** Files that were edited, are missing or come too late. */
  files: Disagreement[];
  /** What the schema lacks, or has otherwise than the applied files made it. */
  drift: Drift[];
}

/** Compares the database with the files. */
export async function migrationStatus(
  database: Database,
  options: { migrations?: Migration[] | undefined } = {},
): Promise<MigrationStatus> {
  const migrations = options.migrations ?? readMigrations();
  return explainingPermissions(database, () => readStatus(database, migrations));
}

function readStatus(database: Database, migrations: Migration[]): Promise<MigrationStatus> {
  return database.transaction(
    async (sql) => {
      const history = (await readHistory(sql, database.schema))?.rows ?? [];
      const versions = new Set(history.map(({ version }) => version));
      return {
        applied: history.map(({ version, name, applied_at }) => ({ version, name, applied_at })),
        pending: pendingOf(migrations, history).map(idOf),
        files: disagreements(migrations, history),
        drift: versions.size > 0 ? driftOf(await readCatalog(sql, database.schema), versions) : [],
      };
    },
    { readOnly: true },
  );
}
