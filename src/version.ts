/** The package's own version and root folder, found from where this file is: the source tree or `dist/`. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Not import.meta.dirname, which bundlers do not know.
let folder = dirname(fileURLToPath(import.meta.url));
while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);

/** Absolute path of the folder that holds package.json and sql/. */
export const packageRoot: string = folder;

/** The version in package.json. */
export const version: string = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
