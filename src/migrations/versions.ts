/** Which migrations are meant: by their numbers, against the files and the history. Pure. */
import { CalendlySyncError } from '../errors.js';
import { compareVersions, type Migration } from './files.js';

/** One migration, as it is named in results. */
export interface MigrationId {
  version: string;
  name: string;
}

/** Version and name, without the rest. */
export function idOf({ version, name }: MigrationId): MigrationId {
  return { version, name };
}

/** The migrations that the history does not hold, up to `to`. */
export function pendingOf(
  migrations: Migration[],
  history: Pick<MigrationId, 'version'>[],
  to: string | null = null,
): Migration[] {
  const seen = new Set(history.map(({ version }) => Number(version)));
  return migrations.filter(
    ({ version }) => !seen.has(Number(version)) && (to === null || compareVersions(version, to) <= 0),
  );
}

/**
 * A version as a user writes it, checked against the files. Null means the newest.
 * @throws CalendlySyncError `usage`
 */
export function targetVersion(migrations: Migration[], to: string | undefined): string | null {
  if (to === undefined) return null;
  const found = migrations.find(({ version }) => /^\d+$/.test(to) && Number(version) === Number(to));
  if (found) return found.version;
  throw new CalendlySyncError('usage', `There is no migration ${to}.`, {
    hint: `There are: ${migrations.map(({ version }) => version).join(', ')}`,
  });
}
