import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { calendlySync, start, temporaryFolder } from '../support/program.js';

test('without DATABASE_URL the database is embedded: one process creates it once, completely', async () => {
  const cwd = temporaryFolder();
  const home = join(cwd, '.calendly-sync');
  const unfinished = () =>
    existsSync(home) && readdirSync(home).some((name) => name.startsWith('database.new-'));

  const first = start(['migrate'], {}, { cwd });
  while (!unfinished()) {
    if (first.child.exitCode !== null) throw new Error(first.output().stderr);
    await sleep(5);
  }
  const second = await calendlySync(['migrate', '--json'], {}, { cwd });
  expect(second.code).toBe(75);
  expect(JSON.parse(second.stdout).error).toMatchObject({
    code: 'locked',
    message: expect.stringContaining(`process ${first.child.pid} `),
  });
  first.child.kill('SIGKILL');
  await first.ended;

  const third = await calendlySync(['migrate', '--json'], {}, { cwd });
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
  const { child, ended, output } = start(['migrate'], {}, { cwd });
  while (!existsSync(home)) {
    if (child.exitCode !== null) throw new Error(output().stderr);
    await sleep(5);
  }
  child.kill('SIGINT');
  const { code } = await ended;
  expect(code).toBe(130);
  expect(readdirSync(home).filter((name) => name.startsWith('database.new-'))).toEqual([]);
});
