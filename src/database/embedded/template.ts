/**
 * An empty embedded database as an archive, made once when the package is built: to unpack it takes a quarter of the time that
 * to make one takes. Nothing depends on it: without it, or with a bad one, a database is made the long way.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { packageRoot } from '../../version.js';

/** Where the package has its archive. */
export const templateFile: string = join(packageRoot, 'dist', 'embedded-database.tar.gz');

/** The archive; null when the package has none, or a damaged one. */
export function readTemplate(file: string): Blob | null {
  if (!existsSync(file)) return null;
  try {
    // Unpacked here and not by PGlite, which does not catch the error of a torn file.
    return new Blob([gunzipSync(readFileSync(file))], { type: 'application/x-tar' });
  } catch {
    return null;
  }
}

/**
 * Makes the archive; half-made it is never seen under its name. Called by npm's `prepare`.
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
