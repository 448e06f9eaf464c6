/** Clients without the key, against the built program: memory stays bounded, and real deliveries get through. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { start } from '../support/program.js';
import { booking, HOST, KEY, signedRequest } from '../support/webhooks.js';

const PATH = '/api/calendly/webhook';

/** The built receiver with its admin port. */
async function serve() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  const argv = ['webhook', 'serve', '--port', '0', '--admin-port', '0'];
  const { child, output } = start(argv, { DATABASE_URL: url, CALENDLY_WEBHOOK_SIGNING_KEY: KEY });
  onTestFinished(() => void child.kill('SIGKILL'));
  await expect.poll(() => output().stderr, { timeout: 10_000 }).toContain('Setup check');
  const [, port = ''] = /Listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output().stderr) ?? [];
  const [, admin = ''] = /(http:\/\/127\.0\.0\.1:\d+)\/metrics/.exec(output().stderr) ?? [];
  const memory = () => {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
  };
  const metrics = async () => (await fetch(`${admin}/metrics`)).text();
  return { port: Number(port), memory, metrics };
}

const sockets: Socket[] = [];

/** A connection that sends `text` and then nothing more, and opens again as soon as it is closed. */
function hold(port: number, text: () => string | Buffer): void {
  let stopped = false;
  onTestFinished(() => {
    stopped = true;
    for (const socket of sockets) socket.destroy();
  });
  const open = () => {
    if (stopped) return;
    const socket = connect(port, '127.0.0.1', () => socket.write(text()));
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => setTimeout(open, 50));
  };
  open();
}

async function deliver(port: number, id: string): Promise<number> {
  const body = JSON.stringify(booking(id));
  const { headers } = signedRequest(body);
  const sent = Object.fromEntries(headers);
  const url = `http://127.0.0.1:${port}${PATH}`;
  const response = await fetch(url, { method: 'POST', body, headers: { ...sent, connection: 'close' } });
  return response.status;
}

test('500 connections with large unsigned bodies stay below 200 MB, and real deliveries get through', async () => {
  const { port, memory, metrics } = await serve();
  const body = Buffer.alloc(262_143, 'x');
  const forged = () => {
    const signature = `t=${Math.floor(Date.now() / 1_000)},v1=${'0'.repeat(64)}`;
    const head =
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 262144\r\n` +
      `Calendly-Webhook-Signature: ${signature}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), body]);
  };
  for (let index = 0; index < 500; index++) hold(port, forged);
  let highest = 0;
  for (let index = 0; index < 20; index++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await deliver(port, `HOSTILE${index}`)).toBe(200);
    highest = Math.max(highest, memory());
  }
  expect(highest).toBeLessThan(200);
  const text = await metrics();
  expect(Number(/^calendly_sync_webhook_bytes (\d+)$/m.exec(text)?.[1])).toBeLessThanOrEqual(16 * 1_048_576);
  expect(text).toMatch(/rejections_total\{reason="overloaded"\} [1-9]/);
}, 60_000);

test('more idle connections than the receiver accepts do not keep real deliveries out', async () => {
  const { port, metrics } = await serve();
  for (let index = 0; index < 700; index++) hold(port, () => (index % 2 === 0 ? '' : 'POST / HTT'));
  for (let index = 0; index < 20; index++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await deliver(port, `IDLE${index}`)).toBe(200);
  }
  expect(await metrics()).toMatch(/connections_dropped_total [1-9]/);
}, 60_000);

test('connections that send requests without waiting for the answers are closed, and memory stays below 200 MB', async () => {
  const { port, memory, metrics } = await serve();
  const requests = `GET ${PATH}/test HTTP/1.1\r\nHost: ${'h'.repeat(5_000)}\r\n\r\n`.repeat(20);
  for (let index = 0; index < 300; index++) hold(port, () => requests);
  let highest = 0;
  for (let index = 0; index < 15; index++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await deliver(port, `PIPELINED${index}`)).toBe(200);
    highest = Math.max(highest, memory());
  }
  expect(highest).toBeLessThan(200);
  expect(await metrics()).toMatch(/connections_dropped_total [1-9]/);
}, 60_000);

test('a signature whose time is too far away is rejected before its body is sent', async () => {
  const { port } = await serve();
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write(
    `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n` +
      `Calendly-Webhook-Signature: t=1,v1=${'0'.repeat(64)}\r\n\r\n`,
  );
  await expect.poll(() => answer).toMatch(/^HTTP\/1\.1 401 /);
});
