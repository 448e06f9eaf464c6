import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { calendlySync, start, temporaryFolder } from '../support/program.js';

const EMBEDDED = { DATABASE_URL: 'embedded' };

test.each([['migrate'], ['sync'], ['health'], ['webhook serve']])(
  'without DATABASE_URL and without a terminal `%s` exits with 2 and creates nothing',
  async (command) => {
    const cwd = temporaryFolder();
    const settings = { CALENDLY_TOKEN: 'token', CALENDLY_WEBHOOK_SIGNING_KEY: 'a-key-of-16-letters' };
    const { code, stdout } = await calendlySync([...command.split(' '), '--json'], settings, { cwd });
    expect([code, JSON.parse(stdout).error]).toMatchObject([
      2,
      { code: 'settings', message: expect.stringContaining('DATABASE_URL is not set') },
    ]);
    expect(readdirSync(cwd)).toEqual([]);
  },
);

test.each([
  ['sync', 'CALENDLY_TOKEN'],
  ['force-full', 'CALENDLY_TOKEN'],
  ['webhook serve', 'CALENDLY_WEBHOOK_SIGNING_KEY'],
])('`%s` without %s creates no embedded database', async (command, setting) => {
  const cwd = temporaryFolder();
  const { code, stderr } = await calendlySync(command.split(' '), EMBEDDED, { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain(`${setting} is not set.`);
  expect(readdirSync(cwd)).toEqual([]);
});

test('with DATABASE_URL=embedded one process creates the database once, completely; later it needs no setting', async () => {
  const cwd = temporaryFolder();
  const home = join(cwd, '.calendly-sync');
  const unfinished = () =>
    existsSync(home) && readdirSync(home).some((name) => name.startsWith('database.new-'));

  const first = start(['migrate'], EMBEDDED, { cwd });
  while (!unfinished()) {
    if (first.child.exitCode !== null) throw new Error(first.output().stderr);
    await sleep(5);
  }
  const second = await calendlySync(['migrate', '--json'], EMBEDDED, { cwd });
  expect(second.code).toBe(75);
  expect(JSON.parse(second.stdout).error).toMatchObject({
    code: 'locked',
    message: expect.stringContaining(`process ${first.child.pid} `),
  });
  first.child.kill('SIGKILL');
  await first.ended;

  const third = await calendlySync(['migrate', '--json'], EMBEDDED, { cwd });
  expect(third.stderr).toContain(`Created an embedded database in ${join(home, 'database')}`);
  expect(third.code).toBe(0);
  expect(JSON.parse(third.stdout).applied.length).toBeGreaterThan(3);
  expect(readdirSync(home).sort()).toEqual(['.gitignore', 'database', 'database.lock']);

  const fourth = await calendlySync(['health', '--json'], {}, { cwd });
  expect(fourth.code).toBe(4);
  expect(fourth.stderr).toBe(`Embedded database: ${join(home, 'database')}\n`);
  expect(JSON.parse(fourth.stdout)).toMatchObject({
    problems: [{ code: 'no_account' }],
    migrations: { pending: [] },
  });
});

test('a signal while the embedded database is being created exits with 130 and leaves none', async () => {
  const cwd = temporaryFolder();
  const home = join(cwd, '.calendly-sync');
  const { child, ended, output } = start(['migrate'], EMBEDDED, { cwd });
  while (!existsSync(home)) {
    if (child.exitCode !== null) throw new Error(output().stderr);
    await sleep(5);
  }
  child.kill('SIGINT');
  const { code } = await ended;
  expect(code).toBe(130);
  expect(readdirSync(home).filter((name) => name.startsWith('database.new-'))).toEqual([]);
});
