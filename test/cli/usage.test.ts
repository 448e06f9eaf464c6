/** The command line itself: flags, help, usage errors, settings. In the process: none of it needs a database. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { version } from '../../src/version.js';
import { runCli, runJson } from '../support/cli.js';
import { temporaryFolder } from '../support/program.js';

test.each([[[]], [['--help']], [['help']], [['webhook']], [['help', 'webhook']], [['sync', '--help']]])(
  'the help for %j goes to stdout at the width of the terminal, with exit code 0',
  async (argv) => {
    for (const columns of [60, 80, 110]) {
      const { code, stdout, stderr } = await runCli(argv, {}, { columns });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('Usage: calendly-sync');
      const [options = ''] = stdout.split(/\n(?:First steps|Examples):/);
      for (const line of options.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    }
  },
);

test('a shared flag works before and after the name of the command', async () => {
  for (const argv of [
    ['--json', 'sync'],
    ['sync', '--json'],
    ['--json', 'webhook', 'list'],
    ['webhook', '--json', 'list'],
  ]) {
    const { code, stdout } = await runCli(argv, { DATABASE_URL: 'mysql://host/db' });
    const command = argv.filter((argument) => argument !== '--json').join(' ');
    expect([code, JSON.parse(stdout)]).toMatchObject([
      2,
      { command, ok: false, error: { code: 'settings' } },
    ]);
  }
});

test.each([
  [['sink'], "unknown command 'sink'", 'Did you mean sync? See: calendly-sync --help'],
  [['help', 'nosuch'], "unknown command 'nosuch'", 'See: calendly-sync --help'],
  [['--json'], 'missing command', 'See: calendly-sync --help'],
  [
    ['sync', '--dryrun'],
    "unknown option '--dryrun'",
    'Did you mean --dry-run? See: calendly-sync sync --help',
  ],
  [['sync', '--jsn'], "unknown option '--jsn'", 'Did you mean --json? See: calendly-sync sync --help'],
  [['sync', 'extra'], /too many arguments/, 'See: calendly-sync sync --help'],
  [['webhook', 'nosuch'], "unknown command 'nosuch'", 'See: calendly-sync webhook --help'],
  [['webhook', 'serve', '--port', '70000'], /0 to 65535/, 'See: calendly-sync webhook serve --help'],
  [['webhook', 'subscribe'], /--url <url>.* not specified/, 'See: calendly-sync webhook subscribe --help'],
  [['sync', '--concurrency', '0'], /whole number/, 'See: calendly-sync sync --help'],
  [['sync', '--since', 'yesterday'], /not a valid date. Write 2025-01-31/, 'See: calendly-sync sync --help'],
  [['sync', '--since', '2025-02-30'], /not a valid date/, 'See: calendly-sync sync --help'],
  [['sync', '--until', '2026-02-31T10:00Z'], /not a valid date/, 'See: calendly-sync sync --help'],
  [['health', '--max-age', '1y'], /not a valid duration. Write 90s/, 'See: calendly-sync health --help'],
  [['health', '--max-age', '0s'], /not a valid duration/, 'See: calendly-sync health --help'],
  [['health', '--max-age', '999999999d'], /max 3650d/, 'See: calendly-sync health --help'],
  [['health', '--user', ''], /must be the id or e-mail of a user/, 'See: calendly-sync health --help'],
  [
    ['clean-webhooks', '--older-than', '1d12h'],
    /not a valid duration/,
    'See: calendly-sync clean-webhooks --help',
  ],
])('%j is a usage error that points to the help of that command', async (argv, message, hint) => {
  const { code, stdout, stderr } = await runCli([...argv, '--json']);
  expect([code, stderr]).toEqual([2, '']);
  expect(JSON.parse(stdout)).toEqual({
    command: expect.toBeOneOf([null, expect.any(String)]),
    ok: false,
    error: {
      code: 'usage',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      hint,
    },
  });
});

test('--version prints the version', async () => {
  expect(await runCli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('--version --verbose prints what a bug report needs', async () => {
  const { code, stdout } = await runCli(['--version', '--verbose']);
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^calendly-sync \d+\.\d+\.\d+( \(commit [\da-f]{7,}\))?$/),
    `Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
    expect.stringMatching(/^Postgres client: postgres 3\.\d+\.\d+$/),
    expect.stringMatching(/^Embedded Postgres: @electric-sql\/pglite \d+\.\d+\.\d+$/),
    '',
  ]);
});

test('every invalid setting is named in one error, with where its value comes from', async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, '.env'), 'CALENDLY_API_URL=nonsense\nCALENDLY_TOKEN=ignored\n');
  const environment = { CALENDLY_TOKEN: 'two words', CALENDLY_WEBHOOK_TOLERANCE: '1y', DATABASE_URL: ' ' };
  const { code, stderr } = await runCli(['sync', '--schema', 'pg_x'], environment, { cwd });
  expect(code).toBe(2);
  expect(stderr.split('\n').filter(Boolean)).toEqual([
    '✖ --schema: "pg_x" is not a valid schema name',
    expect.stringMatching(/^CALENDLY_TOKEN: contains spaces or characters that are not allowed in a token/),
    'CALENDLY_API_URL: "nonsense" is not a valid URL',
    'CALENDLY_WEBHOOK_TOLERANCE: "1y" is not a valid duration; write 90s, 30m, 36h or 30d',
    '  --schema is set on the command line.',
    '  CALENDLY_TOKEN is set in the environment.',
    `  CALENDLY_API_URL is set in ${join(cwd, '.env')}.`,
    '  CALENDLY_WEBHOOK_TOLERANCE is set in the environment.',
  ]);
});

test('a settings file that cannot be read is an error that names it', async () => {
  const { code, stderr } = await runCli(['sync', '--env-file', 'no.env'], {}, { cwd: '/' });
  expect(code).toBe(2);
  expect(stderr).toContain('Cannot read the settings file /no.env');
});

test.each([
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASE_URLS', 'DATABASE_URL'],
  ['CALENDLY_TOKNE', 'CALENDLY_TOKEN'],
  ['Calendly_Token', 'CALENDLY_TOKEN'],
  ['CALENDLY_SYNC_SCHEME', 'CALENDLY_SYNC_SCHEMA'],
])('a setting that is misspelled as %s is refused by name, unless %s is set', async (wrong, right) => {
  const argv = ['health', '--json'];
  const { code, stdout } = await runCli(argv, { [wrong]: 'x' });
  expect([code, JSON.parse(stdout).error]).toMatchObject([
    2,
    { code: 'settings', message: `${wrong} is not a setting; ${right} is, and is not set.` },
  ]);
  const correct = {
    DATABASE_URL: 'postgres://127.0.0.1:9/x',
    CALENDLY_TOKEN: 'x',
    CALENDLY_SYNC_SCHEMA: 'x',
  };
  expect((await runCli(argv, { ...correct, [wrong]: 'x' })).code).toBe(75);
});

test('a signing key with fewer than 16 characters is refused and not printed', async () => {
  const environment = { CALENDLY_WEBHOOK_SIGNING_KEY: 'a-long-enough-key, short-key' };
  const { code, stdout, stderr } = await runCli(['webhook', 'serve'], environment);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('CALENDLY_WEBHOOK_SIGNING_KEY: a key must have at least 16 characters');
  expect(stderr).not.toContain('short-key');
});

test('every JSON document of a command names its database, without the password', async () => {
  const url = 'postgres://me:very-secret@127.0.0.1:9/app';
  const { document } = await runJson(['health', '--database-url', url]);
  expect(document).toMatchObject({ ok: false, database: '127.0.0.1:9/app' });
  expect((await runJson(['health'], { CALENDLY_SYNC_HOME: '/no/home' })).document).toMatchObject({
    ok: false,
    database: '/no/home/database',
  });
  expect((await runJson(['health'], { DATABASE_URL: 'x' })).document).toMatchObject({ database: null });
});

test('a command in a hint carries the flags that name the database, and never a password', async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'my settings'), 'DATABASE_URL=embedded\nCALENDLY_SYNC_HOME=home\n');
  const argv = ['health', '--schema', 'calendly', '--env-file', 'my settings'];
  const shown = "calendly-sync --schema calendly --env-file 'my settings' migrate";
  const { code, stderr } = await runCli(argv, {}, { cwd });
  expect(code).toBe(5);
  expect(stderr).toContain(shown);
  const { stdout } = await runCli([...argv, '--json'], {}, { cwd });
  expect(JSON.parse(stdout).error.hint).toContain(shown);
});
