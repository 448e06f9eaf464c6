import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadCommands } from '../src/cli/commands.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { createProgram } from '../src/cli/run.js';
import { SETTINGS } from '../src/config.js';
import { packageRoot } from '../src/version.js';

const page = (name: string) => readFileSync(join(packageRoot, name), 'utf8');
const [commands, settings] = [page('docs/commands.md'), page('docs/settings.md')];
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

describe('the documentation', () => {
  test.each(program.commands.map((command) => command.name()))('has a section on `%s`', (name) => {
    expect(commands).toMatch(new RegExp(`^## .*\`${name}\``, 'm'));
  });

  test('names every command of the groups, with an example', () => {
    for (const group of program.commands.filter(({ commands }) => commands.length > 0)) {
      for (const command of group.commands)
        expect(commands).toContain(`calendly-sync ${group.name()} ${command.name()}`);
    }
  });

  test.each(Object.values(SETTINGS).map(({ name }) => name))('has a row for the setting %s', (name) => {
    expect(settings).toMatch(new RegExp(`^\\|[^|]*\`${name}\``, 'm'));
  });

  test('every link to a file of the repository leads to one', () => {
    const files = ['README.md', ...readdirSync(join(packageRoot, 'docs')).map((name) => `docs/${name}`)];
    const broken = files
      .filter((name) => name.endsWith('.md'))
      .flatMap((name) =>
        [...page(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].flatMap(([, target = '']) =>
          existsSync(join(packageRoot, dirname(name), target)) ? [] : `${name}: ${target}`,
        ),
      );
    expect(broken).toEqual([]);
  });

  test.each(Object.values(EXIT))('has a row for the exit code %i', (code) => {
    expect(settings).toMatch(new RegExp(`^\\| ${code} +\\|`, 'm'));
  });
});
