/** Completion in a real bash, the man page, `help TOPIC` and `config`. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/config.js';
import { runCli } from '../support/cli.js';
import { temporaryFolder } from '../support/program.js';

const cwd = temporaryFolder();
writeFileSync(join(cwd, 'my.env'), '');
const script = async (shell: string) => (await runCli(['completion', shell])).stdout;

/** What bash offers for the last of these words. */
async function completed(...words: string[]): Promise<string[]> {
  const code = `${await script('bash')}
    COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _calendly_sync; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync('bash', ['-c', code, 'bash', 'calendly-sync', ...words], {
    cwd,
    encoding: 'utf8',
  });
  return text.split('\n').filter(Boolean);
}

test('bash completes commands, the commands of a group, flags, choices and files', async () => {
  expect(await completed('mi')).toEqual(['migrate']);
  expect(await completed('webhook', 's')).toEqual(['serve', 'subscribe']);
  expect(await completed('webhook', 'serve', '--log')).toEqual(['--log-format']);
  expect(await completed('webhook', 'serve', '--log-format', '')).toEqual(['text', 'json']);
  expect(await completed('sync', '--json', '--dry')).toEqual(['--dry-run']);
  expect(await completed('--json', 'account', 'list', '--state', 'n')).toEqual(['needs_reconnect']);
  expect(await completed('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  expect(await completed('sync', '--env-file', 'my')).toEqual(['my.env']);
  expect(await completed('sync', '--since', '')).toEqual([]);
});

test('fish completes the flags of a group’s command only behind that command', async () => {
  const lines = (await script('fish')).split('\n');
  const condition = "'__fish_seen_subcommand_from webhook; and __fish_seen_subcommand_from serve'";
  expect(lines).toContainEqual(expect.stringMatching(/^complete .* -a migrate -d '/));
  expect(lines).toContainEqual(
    expect.stringContaining(`-n ${condition} -l log-format -x -a 'text json' -d '`),
  );
});

test('the man page describes every command, flag, setting and exit code', async () => {
  const { code, stdout } = await runCli(['help', 'man']);
  expect(code).toBe(0);
  for (const name of Object.values(SETTINGS).map(({ name }) => name)) expect(stdout).toContain(name);
  for (const text of ['.SS calendly\\-sync webhook serve', '\\-\\-log\\-format', '.B 129, 130, 143'])
    expect(stdout).toContain(text);
  expect(stdout).not.toMatch(/^['.](?!TH|SH|SS|TP|B|I )/m);
});

test.each([
  ['exit-codes', /^ {2}75 +try again later/m],
  ['environment', /^ {2}CALENDLY_TOKEN +personal access token/m],
])('help %s prints them', async (topic, text) => {
  const { code, stdout } = await runCli(['help', topic], {}, { columns: 80 });
  expect(code).toBe(0);
  expect(stdout).toMatch(text);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('config shows each value, masked, with where it comes from', async () => {
  writeFileSync(join(cwd, '.env'), 'CALENDLY_TOKEN=token-in-the-file\nCALENDLY_SYNC_SCHEMA=ignored\n');
  const environment = { DATABASE_URL: 'postgres://me:very-secret@127.0.0.1:9/app' };
  const argv = ['config', '--schema', 'mine', '--json'];
  const { code, stdout, stderr } = await runCli(argv, environment, { cwd });
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).not.toMatch(/very-secret|token-in-the-file/);
  const { settings } = JSON.parse(stdout);
  const of = (wanted: string) => settings.find(({ name }: { name: string }) => name === wanted);
  expect(of('DATABASE_URL')).toMatchObject({
    value: 'postgres://me:****@127.0.0.1:9/app',
    source: 'environment',
  });
  expect(of('CALENDLY_SYNC_SCHEMA')).toMatchObject({ value: 'mine', source: 'flag' });
  expect(of('CALENDLY_TOKEN')).toMatchObject({ value: '**** (17 characters)', file: join(cwd, '.env') });
  expect(of('CALENDLY_SYNC_HOME')).toMatchObject({ value: join(cwd, '.calendly-sync'), source: 'default' });
  expect(of('PORT')).toMatchObject({ value: null });
  expect(settings).toHaveLength(Object.keys(SETTINGS).length);
});
