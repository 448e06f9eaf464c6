import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { start, temporaryFolder } from '../support/program.js';

/** Settings that would break the demo if it read them. */
const FOREIGN = {
  DATABASE_URL: 'not a URL',
  CALENDLY_TOKEN: 'a-token-of-another-user',
  CALENDLY_API_URL: 'http://127.0.0.1:9',
};

test('the demo runs its whole script, checks it, prints one document, and leaves nothing behind', async () => {
  const TMPDIR = temporaryFolder();
  const { code, stdout, stderr } = await start(['demo', '--json'], { ...FOREIGN, TMPDIR }).ended;
  expect(stderr).not.toContain('✖');
  expect(code).toBe(0);
  const { command, ok, steps } = JSON.parse(stdout);
  expect({ command, ok }).toEqual({ command: 'demo', ok: true });
  expect(steps.map((step: { command?: string }) => step.command ?? 'happened')).toEqual([
    'calendly-sync migrate',
    'calendly-sync sync',
    'happened',
    'calendly-sync sync',
    'calendly-sync verify',
    expect.stringMatching(/^calendly-sync webhook subscribe --url /),
    'happened',
    expect.stringMatching(/^calendly-sync webhook serve --port /),
    'calendly-sync sync',
    'calendly-sync verify',
    'calendly-sync health',
  ]);
  expect(steps[1].document.users[0]).toMatchObject({ mode: 'full', status: 'complete' });
  expect(steps[3].document.totals).toMatchObject({ new: 4, deleted: 3, updated: 0 });
  expect(steps[5].document.subscription.state).toBe('active');
  expect(steps[6].happened).toHaveLength(1);
  expect(steps[7].document).toMatchObject({ received: 1, failed: 0 });
  expect(steps[10].document.healthy).toBe(true);
  expect(steps[10].document.users[0].webhook_synced_meetings).toBe(1);
  expect(readdirSync(TMPDIR)).toEqual([]);
}, 120_000);

test('a demo that is stopped by a signal leaves nothing behind either', async () => {
  const TMPDIR = temporaryFolder();
  const { child, ended, output } = start(['demo'], { TMPDIR });
  while (!output().stdout.includes('$ calendly-sync sync')) {
    if (child.exitCode !== null) throw new Error(output().stderr);
    await sleep(20);
  }
  child.kill('SIGTERM');
  const { code } = await ended;
  expect(code).toBe(143);
  expect(readdirSync(TMPDIR)).toEqual([]);
});
