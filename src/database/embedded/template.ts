/**
 * An archive of an empty embedded database, created when the package is built: unpacking it takes a quarter of the
 * time of initializing one. Nothing depends on it: without it, or if it is damaged, a database is initialized.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packageRoot } from '../../version.js';

/** The archive in the package. */
export const templateFile: string = join(packageRoot, 'dist', 'embedded-database.tar.gz');

/** Reads the archive; null if it is absent or damaged. */
export function readTemplate(file: string): Blob | null {
  try {
    // Decompressed here, because PGlite does not catch the error of a truncated file.
    return new Blob([gunzipSync(readFileSync(file))], { type: 'application/x-tar' });
  } catch {
    return null;
  }
}

/**
 * Creates the archive; it gets its name when it is complete. Called by npm's `prepare`.
 * @public
 */
export async function writeTemplate(file = templateFile): Promise<void> {
  const { PGlite } = await import('@electric-sql/pglite');
  const pglite = await PGlite.create();
  const unfinished = `${file}.${process.pid}`;
  try {
    const archive = await pglite.dumpDataDir('gzip');
    writeFileSync(unfinished, Buffer.from(await archive.arrayBuffer()));
    renameSync(unfinished, file);
  } finally {
    rmSync(unfinished, { force: true });
    await pglite.close();
  }
}
