import { expect, test } from 'vitest';
import { createOutput } from '../../../src/cli/terminal/output.js';

/** What the output port writes for one result, on a terminal with `columns` columns or on none. */
function written(text: string, environment: Record<string, string> = {}, columns?: number): string {
  let all = '';
  const stream = {
    write: (more: string) => (all += more),
    ...(columns === undefined ? {} : { isTTY: true, columns }),
  };
  const terminal = { stdout: stream, stderr: stream, stdin: process.stdin, environment, cwd: '/' };
  createOutput(terminal, {}).result(text, 'good');
  return all;
}

test('colors are for terminals, unless NO_COLOR, TERM=dumb or FORCE_COLOR say otherwise', () => {
  const colored = '\u001b[32mok\u001b[39m\n';
  expect(written('ok', {}, 80)).toBe(colored);
  expect(written('ok', { NO_COLOR: '1', FORCE_COLOR: '1' }, 80)).toBe('ok\n');
  expect(written('ok', { TERM: 'dumb' }, 80)).toBe('ok\n');
  expect(written('ok', { FORCE_COLOR: '0' }, 80)).toBe('ok\n');
  expect(written('ok')).toBe('ok\n');
  expect(written('ok', { FORCE_COLOR: '1' })).toBe(colored);
});

test('a line is broken at spaces on a terminal, but never a line with a command', () => {
  expect(written('one two three', { NO_COLOR: '1' }, 9)).toBe('one two\n  three\n');
  const command = '→ calendly-sync sync --user dana@example.com';
  expect(written(command, { NO_COLOR: '1' }, 20)).toBe(`${command}\n`);
  expect(written('one two three')).toBe('one two three\n');
});

test('a script of several lines is printed as it is', () => {
  const script = 'select 1\n  -- a comment that is longer than the terminal';
  expect(written(script, { NO_COLOR: '1' }, 20)).toBe(`${script}\n`);
});

test('control characters are escaped, in a terminal and in a pipe', () => {
  expect(written('a\u001b[31mb\u202ec', { NO_COLOR: '1' }, 80)).toBe('a\\u001b[31mb\\u202ec\n');
  expect(written('a\u0007b')).toBe('a\\u0007b\n');
});

test('a table on a terminal whose width is unknown is drawn for 80 columns', async () => {
  let all = '';
  const stream = { write: (more: string) => (all += more), isTTY: true, columns: 0 };
  const terminal = { stdout: stream, stderr: stream, stdin: process.stdin, environment: {}, cwd: '/' };
  await createOutput(terminal, {}).table(['user', 'status'], [['dana@example.com', 'ok']]);
  expect(all).toContain('│ dana@example.com │ ok     │');
});
