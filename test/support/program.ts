/** The built program as a child process. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const builtProgram = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');

const folders: string[] = [];
// Registered when a test file imports this one: inside a test it would be too late.
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A temporary folder, removed after the file's tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'calendly-sync-test-'));
  folders.push(folder);
  return folder;
}

/** Starts `calendly-sync ARGV` with PATH, HOME and the given settings as its environment. */
export function start(
  argv: string[],
  settings: Record<string, string> = {},
  options: { cwd?: string; input?: string; program?: string } = {},
) {
  const { PATH, HOME, CALENDLY_SYNC_TEST_PACE } = process.env;
  const child = spawn(process.execPath, [options.program ?? builtProgram, ...argv], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH, HOME, CALENDLY_SYNC_TEST_PACE, ...settings },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(options.input ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended, output: () => ({ stdout, stderr }) };
}

/** Runs `calendly-sync ARGV` to its end. */
export function calendlySync(
  argv: string[],
  settings: Record<string, string> = {},
  options: { cwd?: string; input?: string } = {},
) {
  return start(argv, settings, options).ended;
}

/** The built program with more files in its sql folder; answers with a way to run it. */
export function programWith(files: Record<string, string>) {
  const root = join(import.meta.dirname, '../..');
  const folder = temporaryFolder();
  for (const name of ['dist', 'sql', 'package.json'])
    cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'home'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'sql', name), text);
  const path = join(folder, 'dist/bin/calendly-sync.js');
  const run = (argv: string[], settings: Record<string, string>) =>
    start(argv, settings, { program: path }).ended;
  return Object.assign(run, {
    start: (argv: string[], settings: Record<string, string>) => start(argv, settings, { program: path }),
    sql: join(folder, 'sql'),
  });
}
