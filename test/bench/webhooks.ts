/**
 * How many deliveries a second the built receiver takes in, with Postgres on the same machine: `node --import tsx
 * test/bench/webhooks.ts DATABASE_URL [deliveries]`. The database is a throwaway one: its tables are emptied. Figures, never asserted.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import postgres from 'postgres';
import { signatureHeader } from '../../src/calendly/signature.js';
import { freePort } from '../support/free-port.js';
import { booking, HOST, KEY } from '../support/webhooks.js';

const PATH = '/api/calendly/webhook';
/** Deliveries that come one at a time, after the others. */
const ALONE = 500;
const program = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');

export interface WebhookFigures {
  deliveries: number;
  per_second: number;
  p50_ms: number;
  p99_ms: number;
  worst_ms: number;
  /** From POST to commit and answer for deliveries that come one at a time. */
  alone_p50_ms: number;
  alone_p99_ms: number;
  /** Resident memory of the receiver after a tenth of the deliveries, and at the end. */
  memory_early_mb: number;
  memory_end_mb: number;
  not_2xx: number;
  fsync: string;
}

/** Empties the database's tables, starts the built receiver on it, and posts new bookings over keep-alive connections. */
export async function benchWebhooks(
  databaseUrl: string,
  { deliveries = 20_000, connections = 16 } = {},
): Promise<WebhookFigures> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  await sql`truncate users, calendly_webhook_events cascade`;
  const [user] = await sql`insert into users (email) values ('host@example.com') returning id`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (${user?.id}, ${HOST})`;
  const [setting] = await sql`show fsync`;
  const port = await freePort();
  const child = spawn(process.execPath, [program, 'webhook', 'serve', '--port', String(port), '--quiet'], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl, CALENDLY_WEBHOOK_SIGNING_KEY: KEY },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    await answering(port);
    const ms: number[] = [];
    let next = 0;
    let bad = 0;
    let early = 0;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: connections }, async () => {
        const connection = await connect(port);
        while (next < deliveries) {
          const index = next++;
          if (index === Math.floor(deliveries / 10)) early = residentMb(child.pid ?? 0);
          const request = requestText(index);
          const sent = performance.now();
          const status = await connection.send(request);
          ms.push(performance.now() - sent);
          if (status < 200 || status > 299) bad++;
        }
        connection.end();
      }),
    );
    const seconds = (performance.now() - started) / 1_000;
    const alone: number[] = [];
    const connection = await connect(port);
    while (alone.length < ALONE) {
      const request = requestText(next++);
      const sent = performance.now();
      await connection.send(request);
      alone.push(performance.now() - sent);
    }
    connection.end();
    return {
      deliveries,
      per_second: Math.round(deliveries / seconds),
      p50_ms: percentile(ms, 0.5),
      p99_ms: percentile(ms, 0.99),
      worst_ms: percentile(ms, 1),
      alone_p50_ms: percentile(alone, 0.5),
      alone_p99_ms: percentile(alone, 0.99),
      memory_early_mb: early,
      memory_end_mb: residentMb(child.pid ?? 0),
      not_2xx: bad,
      fsync: String(setting?.fsync),
    };
  } finally {
    child.kill('SIGTERM');
    await sql.end();
  }
}

function requestText(index: number): string {
  const body = JSON.stringify(booking(`BENCH${index}`));
  const signature = signatureHeader(KEY, Buffer.from(body), Math.floor(Date.now() / 1_000));
  return [
    `POST ${PATH} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Calendly-Webhook-Signature: ${signature}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

/** One keep-alive connection without a client library in between: the machine's cores are the receiver's. */
async function connect(port: number) {
  const socket: Socket = createConnection(port, '127.0.0.1');
  socket.setNoDelay(true).setEncoding('latin1');
  let answered: (status: number) => void = () => {};
  let text = '';
  socket.on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
    const complete = Number.isNaN(length) ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + length;
    if (!complete) return;
    const status = Number(text.slice(9, 12));
    text = '';
    answered(status);
  });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return {
    send: (request: string) =>
      new Promise<number>((resolve) => {
        answered = resolve;
        socket.write(request);
      }),
    end: () => socket.destroy(),
  };
}

async function answering(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const up = await fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the receiver does not answer');
}

function residentMb(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return Math.round((pages * 4_096) / 1_048_576);
}

function percentile(ms: number[], share: number): number {
  const sorted = [...ms].sort((a, b) => a - b);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10;
}

if (process.argv[1] === import.meta.filename) {
  const [url = '', deliveries = '20000'] = process.argv.slice(2);
  console.log(JSON.stringify(await benchWebhooks(url, { deliveries: Number(deliveries) })));
}
