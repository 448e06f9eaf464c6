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

/** One migration: the file that applies it and the file that undoes it. */
export interface Migration {
  /** As in the file's name, `022`. */
  version: string;
  /** As in the file's name, `calendly_sync_optimization`. */
  name: string;
  up: SqlFile;
  down: SqlFile | null;
  /** Of the up file. */
  checksum: string;
}

/** The folder of the tool's own files. */
export const ownFolder: string = join(packageRoot, 'sql');

const FILE_NAME = /^(\d+)_([a-z0-9_]+)\.(up|down)\.sql$/;

/** The text without byte order mark and carriage returns, which editors and git change on their own. */
function normalized(text: string): string {
  return text.replace(/^\ufeff/, '').replaceAll('\r', '');
}

/** SHA-256 of the text in hex; line endings and a byte order mark do not change it. */
export function checksum(text: string): string {
  return createHash('sha256').update(normalized(text)).digest('hex');
}

/**
 * All migrations of a folder, sorted by number. Files with other names are ignored.
 * @throws CalendlySyncError `failed` if the folder cannot be read, two files share a number, or a down file has no
 * up file
 */
export function readMigrations(folder = ownFolder): Migration[] {
  const files = new Map<string, { version: string; name: string; up?: SqlFile; down?: SqlFile }>();
  for (const fileName of listFolder(folder)) {
    const match = FILE_NAME.exec(fileName);
    if (!match) continue;
    const [, version = '', name = '', direction] = match;
    const path = join(folder, fileName);
    const entry = files.get(`${version}_${name}`) ?? { version, name };
    entry[direction === 'up' ? 'up' : 'down'] = { path, text: normalized(readFileSync(path, 'utf8')) };
    files.set(`${version}_${name}`, entry);
  }
  const migrations = [...files.values()].map(({ version, name, up, down = null }): Migration => {
    if (!up) throw new CalendlySyncError('failed', `${version}_${name}.down.sql has no up file beside it.`);
    return { version, name, up, down, checksum: checksum(up.text) };
  });
  migrations.sort((a, b) => compareVersions(a.version, b.version));
  migrations.forEach((migration, index) => {
    const before = migrations[index - 1];
    if (!before || compareVersions(before.version, migration.version) !== 0) return;
    throw new CalendlySyncError(
      'failed',
      `Two migrations have the number ${migration.version}: ${before.name} and ${migration.name}.`,
    );
  });
  return migrations;
}

/** Versions sort as numbers: 9 before 10, and 022 is 22. */
export function compareVersions(a: string, b: string): number {
  return Number(a) - Number(b);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw new CalendlySyncError('failed', `The migrations in ${folder} cannot be read.`, {
      hint: 'Install calendly-sync again.',
      cause,
    });
  }
}
