/** The built receiver as a service: its log, its signals, its ports, and several of them on one database. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { start } from '../support/program.js';
import { testSandbox } from '../support/sandbox.js';
import { booking, HOST, KEY, signedRequest } from '../support/webhooks.js';

const PATH = '/api/calendly/webhook';

async function connected() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  return { url, sql };
}

/** Starts the receiver and waits until it listens; the log says where. */
async function serve(settings: Record<string, string>, argv: string[] = ['--port', '0']) {
  const running = start(['webhook', 'serve', ...argv], { CALENDLY_WEBHOOK_SIGNING_KEY: KEY, ...settings });
  onTestFinished(() => void running.child.kill('SIGKILL'));
  const log = () => running.output().stderr + running.output().stdout;
  await expect.poll(log, { timeout: 10_000 }).toContain('Listening on');
  const [, base = ''] = /Listening on (http:\/\/[^/]+)/.exec(log()) ?? [];
  return { ...running, base, log };
}

async function deliver(base: string, id: string): Promise<Response> {
  const body = JSON.stringify(booking(id));
  return fetch(base + PATH, { method: 'POST', body, headers: signedRequest(body).headers });
}

test('the receiver goes on without the readers of its log, and counts the lines that are lost', async () => {
  const { url } = await connected();
  const { child, base, ended, log } = await serve({ DATABASE_URL: url }, [
    '--port',
    '0',
    '--admin-port',
    '0',
  ]);
  await expect.poll(log).toContain('/metrics');
  const [, admin = ''] = /(http:\/\/127\.0\.0\.1:\d+)\/metrics/.exec(log()) ?? [];
  child.stdout.destroy();
  child.stderr.destroy();
  for (const id of ['UNREAD1', 'UNREAD2', 'UNREAD3']) expect((await deliver(base, id)).status).toBe(200);
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  expect(metrics).toMatch(/^calendly_sync_log_lines_lost_total [1-9]/m);
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
});

test('with --log-format json each line is an object with time, level, message and request id', async () => {
  const { url } = await connected();
  const { child, base, ended } = await serve({ DATABASE_URL: url }, ['--port', '0', '--log-format', 'json']);
  const answer = await deliver(base, 'LOGGED');
  child.kill('SIGTERM');
  const { code, stdout, stderr } = await ended;
  expect(code).toBe(0);
  expect(stderr).toBe('');
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const line of lines) expect(Date.parse(line.time)).toBeGreaterThan(0);
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: 'info',
      message: '✅ New meeting scheduled via webhook: https://api.calendly.com/scheduled_events/LOGGED',
      request_id: answer.headers.get('x-request-id'),
      event_type: 'invitee.created',
      status: 'applied',
    }),
  );
});

test('SIGHUP stops the receiver as cleanly as SIGTERM', async () => {
  const { url } = await connected();
  const { child, ended } = await serve({ DATABASE_URL: url });
  child.kill('SIGHUP');
  const { code, stderr } = await ended;
  expect(code).toBe(0);
  expect(stderr).toContain('Stopped. 0 deliveries handled');
});

test('PORT is the port of the receiver unless --port is given', async () => {
  const { url } = await connected();
  const [port, other] = [await freePort(), await freePort()];
  const settings = { DATABASE_URL: url, PORT: String(port) };
  expect((await serve(settings, [])).base).toBe(`http://127.0.0.1:${port}`);
  expect((await serve(settings, ['--port', String(other)])).base).toBe(`http://127.0.0.1:${other}`);
});

test('with --drain healthz is 503 first, and deliveries are still accepted', async () => {
  const { url } = await connected();
  const { child, base, ended } = await serve({ DATABASE_URL: url }, ['--port', '0', '--drain', '2s']);
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  child.kill('SIGTERM');
  await expect.poll(async () => (await fetch(`${base}/healthz`)).status).toBe(503);
  expect((await deliver(base, 'DRAINED')).status).toBe(200);
  expect((await ended).code).toBe(0);
});

test('a shutdown ends with 75 although the database does not answer', async () => {
  const { url, sql } = await connected();
  const { child, base, ended } = await serve({ DATABASE_URL: url });
  const lock = await sql.reserve();
  onTestFinished(() => lock.release());
  await lock`begin`;
  await lock`lock table calendly_webhook_events in access exclusive mode`;
  const delivery = deliver(base, 'HELD').then(
    ({ status }) => status,
    () => 0,
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill('SIGTERM');
  const begun = performance.now();
  expect((await ended).code).toBe(75);
  expect(performance.now() - begun).toBeLessThan(28_000);
  expect(await delivery).not.toBe(200);
  await lock`rollback`;
}, 60_000);

test('the password in --database-url is not visible among the arguments of the process', async () => {
  const { url } = await connected();
  const { password } = new URL(url);
  const { child } = await serve({}, ['--port', '0', '--database-url', url]);
  const argv = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
  expect(password).not.toBe('');
  expect(argv).not.toContain(password);
  expect(argv).toContain('calendly-sync');
});

test('several receivers with --sync-every share the work, and none reports an error', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 3 });
  const settings = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_TOKEN: sandbox.hosts[0]?.token ?? '',
  };
  const replicas = await Promise.all(
    [1, 2, 3].map(() => serve(settings, ['--port', '0', '--sync-every', '1h'])),
  );
  await expect
    .poll(() => sql`select from users where last_calendly_sync is not null`, { timeout: 15_000 })
    .toHaveLength(1);
  // The offsets of the starts are below 5 s.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  const logs = replicas.map(({ log }) => log());
  expect(logs.filter((log) => log.includes('FULL Calendly sync complete'))).toHaveLength(1);
  for (const log of logs) expect(log).not.toContain('✖');
}, 60_000);
