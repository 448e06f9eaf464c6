/** The migration files: which there are, their order and their checksums. Knows no database. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CalendlySyncError } from '../errors.js';
import { packageRoot } from '../version.js';

/** One SQL file as it stands on disk. */
export interface SqlFile {
  /** Absolute path. */
  path: string;
  /** Without byte order mark and carriage returns. */
  text: string;
}

/** One migration, as it is named in results. */
export interface MigrationId {
  /** As in the file's name, `022`. */
  version: string;
  /** As in the file's name, `calendly_sync_optimization`. */
  name: string;
}

/** One migration: the file that applies it and the file that undoes it. */
export interface Migration extends MigrationId {
  up: SqlFile;
  down: SqlFile | null;
  /** Of the up file. */
  checksum: string;
}

/** The folder of the tool's own files. */
export const ownFolder: string = join(packageRoot, 'sql');

const DOWN = /(?<=^\d+_[a-z0-9_]+)\.down\.sql$/;

/** SHA-256 of the text in hex; line endings and a byte order mark do not change it. */
export function checksum(text: string): string {
  return createHash('sha256').update(normalized(text)).digest('hex');
}

/** The text without byte order mark and carriage returns, which editors and git change on their own. */
function normalized(text: string): string {
  return text.replace(/^\ufeff/, '').replaceAll('\r', '');
}

/**
 * All migrations of a folder, sorted by number. Files with other names are ignored.
 * @throws CalendlySyncError `failed` if the folder cannot be read, or two files have the same number
 */
export function readMigrations(folder = ownFolder): Migration[] {
  const names = listFolder(folder);
  const read = (fileName: string): SqlFile => {
    const path = join(folder, fileName);
    return { path, text: normalized(readFileSync(path, 'utf8')) };
  };
  const alone = names.find((name) => DOWN.test(name) && !names.includes(name.replace(DOWN, '.up.sql')));
  if (alone) throw new CalendlySyncError('failed', `${alone} has no up file beside it.`);
  const migrations = names.flatMap((fileName): Migration[] => {
    const [, version, name] = /^(\d+)_([a-z0-9_]+)\.up\.sql$/.exec(fileName) ?? [];
    if (version === undefined || name === undefined) return [];
    const up = read(fileName);
    const downName = fileName.replace('.up.sql', '.down.sql');
    const down = names.includes(downName) ? read(downName) : null;
    return [{ version, name, up, down, checksum: checksum(up.text) }];
  });
  migrations.sort((a, b) => compareVersions(a.version, b.version));
  const second = migrations.findIndex(
    ({ version }, index) => Number(version) === Number(migrations[index - 1]?.version),
  );
  if (second < 0) return migrations;
  const [one, other] = migrations.slice(second - 1);
  const message = `Two migrations have the number ${other?.version}: ${one?.name} and ${other?.name}.`;
  throw new CalendlySyncError('failed', message);
}

/** Versions sort as numbers: 9 before 10, and 022 is 22. */
export function compareVersions(a: string, b: string): number {
  return Number(a) - Number(b);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    const message = `The migrations in ${folder} cannot be read.`;
    throw new CalendlySyncError('failed', message, { hint: 'Install calendly-sync again.', cause });
  }
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
