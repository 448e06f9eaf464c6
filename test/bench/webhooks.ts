/**
 * How many deliveries per second the built receiver accepts, and a bare server with one insert per delivery, turn by
 * turn with Postgres on the same machine: `node --import tsx test/bench/webhooks.ts DATABASE_URL [deliveries]`. The
 * database's tables are emptied. Figures, never asserted.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { signatureHeader } from '../../src/calendly/signature.js';
import { freePort } from '../support/free-port.js';
import { booking, HOST, KEY } from '../support/webhooks.js';
import { type LoadFigures, load } from './load.js';

const PATH = '/api/calendly/webhook';
const ROUNDS = 3;
const program = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');
const bareReceiver = join(import.meta.dirname, 'bare-receiver.ts');

export interface WebhookFigures {
  deliveries: number;
  fsync: string;
  /** The round with the median rate. */
  receiver: LoadFigures & { memory_mb: number };
  bare: LoadFigures & { memory_mb: number };
  /** Of the medians: the receiver's rate, as a part of the bare one. */
  rate_to_bare: number;
  /** Of the medians: the time of a delivery that comes alone. */
  alone_to_bare: number;
}

/** Sends new bookings to the built receiver and to the bare one. */
export async function benchWebhooks(
  databaseUrl: string,
  { deliveries = 20_000, connections = 16 } = {},
): Promise<WebhookFigures> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const [setting] = await sql`show fsync`;
  const receivers = {
    receiver: (port: number) => [program, 'webhook', 'serve', '--quiet', '--port', String(port)],
    bare: (port: number) => ['--import', 'tsx', bareReceiver, String(port)],
  };
  const rounds: Record<keyof typeof receivers, (LoadFigures & { memory_mb: number })[]> = {
    receiver: [],
    bare: [],
  };
  const amount = { deliveries: Math.ceil(deliveries / ROUNDS), connections };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of ['receiver', 'bare'] as const) {
        await prepare(sql);
        rounds[name].push(await measure(databaseUrl, receivers[name], amount));
      }
    }
  } finally {
    await sql`drop table if exists bench_deliveries`;
    await sql.end();
  }
  const [receiver, bare] = [median(rounds.receiver), median(rounds.bare)];
  return {
    deliveries,
    fsync: String(setting?.fsync),
    receiver,
    bare,
    rate_to_bare: Math.round((receiver.per_second / bare.per_second) * 100) / 100,
    alone_to_bare: Math.round((receiver.alone_p50_ms / bare.alone_p50_ms) * 10) / 10,
  };
}

async function prepare(sql: postgres.Sql): Promise<void> {
  await sql`truncate users, calendly_webhook_events cascade`;
  const [user] = await sql`insert into users (email) values ('host@example.com') returning id`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (${user?.id}, ${HOST})`;
  await sql`drop table if exists bench_deliveries`;
  await sql`create table bench_deliveries (id bigint generated always as identity primary key, payload jsonb)`;
}

async function measure(
  databaseUrl: string,
  argvOf: (port: number) => string[],
  amount: { deliveries: number; connections: number },
) {
  const port = await freePort();
  const child = spawn(process.execPath, argvOf(port), {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: databaseUrl,
      CALENDLY_WEBHOOK_SIGNING_KEY: KEY,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    await untilReady(port);
    const figures = await load(port, requestText, amount);
    return { ...figures, memory_mb: residentMb(child.pid ?? 0) };
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
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

async function untilReady(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const ready = await fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the receiver does not answer');
}

function median(rounds: (LoadFigures & { memory_mb: number })[]) {
  const sorted = rounds.sort((a, b) => a.per_second - b.per_second);
  const middle = sorted[sorted.length >> 1];
  if (!middle) throw new Error('no round was measured');
  return middle;
}

function residentMb(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return Math.round((pages * 4_096) / 1_048_576);
}

if (process.argv[1] === import.meta.filename) {
  const [url = '', deliveries = '20000'] = process.argv.slice(2);
  console.log(JSON.stringify(await benchWebhooks(url, { deliveries: Number(deliveries) })));
}
