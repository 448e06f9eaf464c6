/** `--version --verbose`: what a bug report needs. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot, version } from '../version.js';

/** Version and commit, Node.js, platform, and the packages that talk to Postgres. */
export function versionDetails(): string {
  const { node } = process.versions;
  return [
    `calendly-sync ${version}${commit()}`,
    `Node.js ${node}, ${process.platform} ${process.arch}`,
    `Postgres client: postgres ${versionOf('postgres')}`,
    `Embedded Postgres: @electric-sql/pglite ${versionOf('@electric-sql/pglite')}`,
  ].join('\n');
}

/** The commit of a checkout; nothing in an installed package. */
function commit(): string {
  if (!existsSync(join(packageRoot, '.git'))) return '';
  try {
    const commit = execFileSync('git', ['-C', packageRoot, 'rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return ` (commit ${commit.trim()})`;
  } catch {
    return '';
  }
}

function versionOf(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  const manifest = () => join(folder, 'package.json');
  // Some packages have another package.json, without a version, next to their files.
  while (!existsSync(manifest()) || !JSON.parse(readFileSync(manifest(), 'utf8')).version) {
    folder = dirname(folder);
  }
  return JSON.parse(readFileSync(manifest(), 'utf8')).version;
}
