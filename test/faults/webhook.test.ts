/** A receiver that is killed or stopped in the middle of its work, loses its database, or has bad senders. */
import type { ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startWebhookServer } from '../../src/webhook/receiver/server.js';
import { testDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { start } from '../support/program.js';
import { booking, cancellation, HOST, KEY, receiving, signedRequest } from '../support/webhooks.js';

const PATH = '/api/calendly/webhook';

/** Starts the receiver on a port and waits until it answers. */
async function serve(url: string, port: number, args: string[] = []) {
  const running = start(['webhook', 'serve', '--port', String(port), ...args], {
    DATABASE_URL: url,
    CALENDLY_WEBHOOK_SIGNING_KEY: KEY,
  });
  onTestFinished(() => void running.child.kill('SIGKILL'));
  const base = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${base}/healthz`)).ok);
  return { ...running, base };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 30));
}

/** Posts until the response is 2xx, as Calendly does. */
async function persist(base: string, body: object): Promise<void> {
  for (;;) {
    const request = signedRequest(body);
    const answer = await fetch(base + PATH, {
      method: 'POST',
      headers: request.headers,
      body: JSON.stringify(body),
    }).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function connected() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  return { url, sql };
}

const ended = (child: ChildProcess) => new Promise((resolve) => child.once('exit', resolve));

test('a receiver that is killed again and again, with its connections cut, ends with the true rows', async () => {
  const { url, sql } = await connected();
  const port = await freePort();
  let receiver = await serve(url, port, ['--quiet']);
  const bodies = Array.from({ length: 150 }, (_, index) =>
    index % 3 === 0
      ? [cancellation(`K${index}`), booking(`K${index}`)]
      : [booking(`K${index}`), booking(`K${index}`)],
  ).flat();
  let next = 0;
  const workers = Array.from({ length: 8 }, async () => {
    while (next < bodies.length) await persist(receiver.base, bodies[next++] ?? {});
  });
  for (let round = 0; round < 3; round++) {
    const mark = Math.floor((bodies.length * (round + 1)) / 4);
    await until(async () => next >= mark);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name = 'calendly-sync'`;
    receiver.child.kill('SIGKILL');
    await ended(receiver.child);
    receiver = await serve(url, port, ['--quiet']);
  }
  await Promise.all(workers);
  const [totals] = await sql`
    select count(*)::int as meetings, count(*) filter (where is_deleted)::int as canceled from meetings`;
  expect(totals).toEqual({ meetings: 150, canceled: 50 });
  const [guests] = await sql`
    select count(*)::int as all, count(*) filter (where status = 'canceled')::int as canceled from meeting_invitees`;
  expect(guests).toEqual({ all: 150, canceled: 50 });
  const [ledger] =
    await sql`select count(*)::int as n, count(processed_at)::int as done from calendly_webhook_events`;
  expect(ledger).toEqual({ n: 200, done: 200 });
});

test('SIGTERM finishes pending deliveries and exits with 0', async () => {
  const { url, sql } = await connected();
  const receiver = await serve(url, await freePort());
  // A lock holds the delivery in the middle of its transaction.
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const locking = sql.begin(async (tx) => {
    await tx`lock table meetings in share row exclusive mode`;
    await released;
  });
  await until(
    async () => (await sql`select from pg_locks where mode = 'ShareRowExclusiveLock' and granted`).length > 0,
  );
  const posted = postOnce(receiver.base, booking('PENDING'));
  await until(async () => (await sql`select from pg_locks where not granted`).length > 0);
  receiver.child.kill('SIGTERM');
  await until(async () => !(await accepts(receiver.base)));
  release();
  await locking;
  expect(await posted).toBe(200);
  const { code, stderr } = await receiver.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('none pending');
  expect(await sql`select from meetings where external_id = 'PENDING'`).toHaveLength(1);
});

async function postOnce(base: string, body: object): Promise<number> {
  const request = signedRequest(body);
  const answer = await fetch(base + PATH, {
    method: 'POST',
    headers: request.headers,
    body: JSON.stringify(body),
  });
  return answer.status;
}

/** Whether a new connection is accepted. */
function accepts(base: string): Promise<boolean> {
  const { port, hostname } = new URL(base);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

test('a large body is answered 413 and a slow sender 408, and other senders are served meanwhile', async () => {
  const { url } = await connected();
  const { handler } = receiving(url, { bodyTimeoutMs: 1_000 });
  const server = await startWebhookServer(handler, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  const base = server.url;
  const seconds = Math.floor(Date.now() / 1_000);
  const large = await fetch(base + PATH, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'calendly-webhook-signature': `t=${seconds},v1=${'0'.repeat(64)}`,
    },
    body: 'x'.repeat(2_000_000),
  }).then(
    ({ status }) => status,
    () => 'disconnected',
  );
  expect([413, 'disconnected']).toContain(large);
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100`;
  socket.write(`${head}\r\nCalendly-Webhook-Signature: t=${seconds},v1=${'0'.repeat(64)}\r\n\r\n{`);
  expect(await postOnce(base, booking('MEANWHILE'))).toBe(200);
  expect(answer).toBe('');
  await closed;
  expect(answer).toMatch(/^HTTP\/1.1 408 /);
});

test('without a signing key the receiver does not start', async () => {
  const { url } = await connected();
  const { code, stderr } = await start(['webhook', 'serve', '--port', '0'], { DATABASE_URL: url }).ended;
  expect(code).toBe(2);
  expect(stderr).toContain('CALENDLY_WEBHOOK_SIGNING_KEY is not set');
});
