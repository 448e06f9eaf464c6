/** A program of its own that uses the built library. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const library = join(import.meta.dirname, '../../dist/src/index.js');

/**
 * Runs a module in a process of its own; `library` is imported in it. It is killed at the end of the test.
 * @param values what it finds as the variable `given`
 */
export function libraryProcess(code: string, given: object) {
  const text = `import * as library from ${JSON.stringify(library)};\nconst given = ${JSON.stringify(given)};\n${code}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    env: { PATH: process.env.PATH, CALENDLY_SYNC_TEST_PACE: process.env.CALENDLY_SYNC_TEST_PACE },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, ended, lines: () => stdout.split('\n').filter(Boolean), stderr: () => stderr };
}
