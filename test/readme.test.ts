import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadCommands } from '../src/cli/commands.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { createProgram } from '../src/cli/run.js';
import { SETTINGS } from '../src/config.js';
import { packageRoot } from '../src/version.js';

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const program = createProgram(
  {
    terminal: {
      stdout: { write: () => true },
      stderr: { write: () => true },
      stdin: process.stdin,
      environment: {},
      cwd: '/',
    },
    signal: new AbortController().signal,
    exitCode: 0,
    run: async () => 0,
    wholeProgram: async () => program,
  },
  await loadCommands([]),
);

describe('the README', () => {
  test.each(program.commands.map((command) => command.name()))('has a section on `%s`', (name) => {
    expect(readme).toMatch(new RegExp(`^### .*\`${name}\``, 'm'));
  });

  test('names every command of the groups, with an example', () => {
    for (const group of program.commands.filter(({ commands }) => commands.length > 0)) {
      for (const command of group.commands)
        expect(readme).toContain(`calendly-sync ${group.name()} ${command.name()}`);
    }
  });

  test.each(Object.values(SETTINGS).map(({ name }) => name))('has a row for the setting %s', (name) => {
    expect(readme).toMatch(new RegExp(`^\\|[^|]*\`${name}\``, 'm'));
  });

  test.each(Object.values(EXIT))('has a row for the exit code %i', (code) => {
    expect(readme).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
  });
});
