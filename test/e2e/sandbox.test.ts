import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { calendlySync, start, temporaryFolder } from '../support/program.js';
import { KEY } from '../support/webhooks.js';

/** Starts the command and waits until its stdout fits. */
async function serving(argv: string[], fits: (stdout: string) => boolean, cwd = temporaryFolder()) {
  const running = start(['sandbox', '--port', '0', ...argv], {}, { cwd });
  onTestFinished(() => {
    running.child.kill('SIGKILL');
  });
  await expect.poll(() => fits(running.output().stdout), { timeout: 20_000 }).toBe(true);
  return { ...running, stdout: running.output().stdout };
}

const tokenLines = /^(?:# )?CALENDLY_TOKEN=(sandbox-token-\S+)$/gm;
const ready = (hosts: number) => (stdout: string) => [...stdout.matchAll(tokenLines)].length === hosts;

async function whoIs(url: string, token: string) {
  const response = await fetch(`${url}/users/me`, { headers: { authorization: `Bearer ${token}` } });
  return (await response.json()) as { resource: { email: string } };
}

describe('calendly-sync sandbox', () => {
  test('the sandbox prints settings to paste, one token for each host, and serves until it is stopped', async () => {
    const sandbox = await serving(['--hosts', '2', '--events', '5'], ready(2));
    const url = /^CALENDLY_API_URL=(http:\/\/127\.0\.0\.1:\d+)$/m.exec(sandbox.stdout)?.[1] ?? '';
    const tokens = [...sandbox.stdout.matchAll(tokenLines)].map(([, token]) => token ?? '');
    for (const token of tokens) {
      const { email } = (await whoIs(url, token)).resource;
      expect(sandbox.stdout).toContain(`<${email}>`);
    }
    const booked = await fetch(`${url}/_control/book`, { method: 'POST', body: '{"start":"+1h"}' });
    expect(booked.status).toBe(200);
    sandbox.child.kill('SIGTERM');
    const ended = await sandbox.ended;
    expect([ended.code, ended.signal]).toEqual([0, null]);
    expect(ended.stderr).toContain('has stopped');
  });

  test('the sandbox prints one JSON document, then serves, and stops cleanly with a request in progress', async () => {
    const whole = (stdout: string) => stdout.endsWith('\n}\n');
    const sandbox = await serving(['--json', '--latency', '60000'], whole);
    const document = JSON.parse(sandbox.stdout);
    expect(document).toMatchObject({ command: 'sandbox', ok: true, control_url: `${document.url}/_control` });
    expect(document.tokens).toHaveLength(3);
    const waiting = whoIs(document.url, document.tokens[0].token).catch(() => 'cut off');
    const inProgress = async () =>
      (await (await fetch(`${document.control_url}/requests`)).json()) as unknown[];
    await expect.poll(async () => (await inProgress()).length).toBe(1);
    sandbox.child.kill('SIGINT');
    const ended = await sandbox.ended;
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toEqual(document);
    expect(await waiting).toBe('cut off');
  });

  test('the same seed gives the same tokens, and a token from .env is shown', async () => {
    const cwd = temporaryFolder();
    const first = await serving(['--seed', '5', '--hosts', '1'], ready(1), cwd);
    const lines = first.stdout.match(/^CALENDLY_TOKEN=.+$/m)?.[0] ?? '';
    writeFileSync(join(cwd, '.env'), `${lines}\n`);
    const second = await serving(['--seed', '5', '--hosts', '1'], ready(1), cwd);
    expect(second.stdout).toContain(lines);
    const third = await serving(['--seed', '6', '--hosts', '1'], ready(1), cwd);
    expect(third.stdout).not.toContain(lines);
  });

  test('sandbox --verbose shows each request', async () => {
    const sandbox = await serving(['--verbose', '--events', '0'], ready(3));
    const url = /^CALENDLY_API_URL=(\S+)$/m.exec(sandbox.stdout)?.[1] ?? '';
    await whoIs(url, 'wrong');
    await expect.poll(() => sandbox.output().stderr).toContain('401 GET /users/me');
  });

  test('a port that is in use is reported alike by every command that listens', async () => {
    const { url } = await testDatabase();
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => {
      holder.close();
    });
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const settings = { DATABASE_URL: url, CALENDLY_WEBHOOK_SIGNING_KEY: KEY };
    for (const command of [['sandbox'], ['webhook', 'serve']]) {
      const { code, document } = await runJson([...command, '--port', String(port)], settings);
      expect(code).toBe(2);
      expect(document.error).toEqual({
        code: 'settings',
        message: `Port ${port} on 127.0.0.1 is in use.`,
        hint: 'Choose another port with --port N; --port 0 takes a free one.',
      });
    }
  });

  test.each([
    ['--port', '65536'],
    ['--port', 'http'],
    ['--events', '-1'],
    ['--hosts', '0'],
    ['--latency', '0.5'],
    ['--rate-limit', '0'],
    ['--seed', 'abc'],
    ['--event', '5'],
  ])('sandbox %s refuses %s', async (flag, value) => {
    const ended = await calendlySync(['sandbox', flag, value]);
    expect(ended.code).toBe(2);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toContain(flag);
  });

  test('sandbox --help describes every operation and fault of the control API', async () => {
    const { code, stdout } = await calendlySync(['sandbox', '--help']);
    expect(code).toBe(0);
    const texts = ['/_control/', 'reschedule', 'import-meetings', 'disable-subscription', 'curl'];
    for (const text of [...texts, 'next-page-elsewhere', 'lagging']) expect(stdout).toContain(text);
    expect((await calendlySync(['help', 'sandbox'])).stdout).toBe(stdout);
  });
});
