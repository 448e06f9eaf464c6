/** What `npm run build` and `prepare` leave behind. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot, version } from '../../src/version.js';
import { temporaryFolder } from '../support/program.js';

test('the built file can be executed by itself', () => {
  const program = join(packageRoot, 'dist/bin/calendly-sync.js');
  expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
});

test('without TypeScript an existing build stays, and a missing one is an error that names the cause', () => {
  const cwd = temporaryFolder();
  const prepare = () =>
    spawnSync(process.execPath, [join(packageRoot, '.ci/prepare.mjs')], { cwd, encoding: 'utf8' });
  const missing = prepare();
  expect(missing.status).toBe(1);
  expect(missing.stderr).toContain('TypeScript is not installed');
  mkdirSync(join(cwd, 'dist/bin'), { recursive: true });
  writeFileSync(join(cwd, 'dist/bin/calendly-sync.js'), '');
  expect(prepare().status).toBe(0);
});
