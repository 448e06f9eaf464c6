/**
 * The built receiver beside a bare server with one insert per delivery, turn by turn in short rounds on one Postgres:
 * `node --import tsx test/bench/webhooks.ts DATABASE_URL [deliveries]`. Only the ratios say something: both have the
 * same machine, and share it with the client and Postgres. The database's tables are emptied. Figures, never asserted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { signatureHeader } from '../../src/calendly/signature.js';
import { freePort } from '../support/free-port.js';
import { startSlowProxy } from '../support/slow-proxy.js';
import { booking, cancellation, HOST, KEY, type Loose } from '../support/webhooks.js';
import { load, percentile } from './load.js';

const PATH = '/api/calendly/webhook';
const ROUNDS = 9;
const CONNECTIONS = 16;
const ALONE = 200;
const INVITEES = 2_000;
const FAR_MS = 20;
const FAR = 30;
const program = join(import.meta.dirname, '../../dist/bin/calendly-sync.js');
const commands = {
  receiver: (port: number) => [program, 'webhook', 'serve', '--quiet', '--port', String(port)],
  bare: (port: number) => ['--import', 'tsx', join(import.meta.dirname, 'bare-receiver.ts'), String(port)],
};

interface Compared {
  /** Medians of the rounds. */
  receiver: number;
  bare: number;
  /** The median of the ratios of each round. */
  ratio: number;
}

export interface WebhookFigures {
  fsync: string;
  /** New bookings per second. */
  new: Compared;
  /** Deliveries per second, of which 70 % are new bookings, 20 % cancellations and 10 % duplicates. */
  mixed: Compared;
  /** The median of a booking that comes alone, in ms. */
  alone_ms: Compared;
  /** The 99th percentile of new bookings, in ms. */
  p99_ms: Compared;
  /** CPU of the server and of Postgres for each delivery, in µs: bookings of separate meetings and of one webinar. */
  cpu_us: Awaited<ReturnType<typeof cpu>>;
  /** The median of a booking that comes alone, in round trips to a database that is 20 ms away. */
  far_round_trips: number;
  memory_mb: number;
  not_2xx: number;
}

/** Sends the same deliveries to the built receiver and to the bare one. */
export async function benchWebhooks(
  databaseUrl: string,
  { deliveries = 20_000 } = {},
): Promise<WebhookFigures> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const [setting] = await sql`show fsync`;
  await prepare(sql);
  const [receiver, bare] = await Promise.all([
    start(databaseUrl, commands.receiver),
    start(databaseUrl, commands.bare),
  ]);
  const perRound = Math.ceil(deliveries / ROUNDS / 2);
  const rates = { new: [] as Pair[], mixed: [] as Pair[], alone: [] as Pair[], p99: [] as Pair[] };
  let bad = 0;
  const measure = async (requests: string[], connections: number, flipped: boolean) => {
    const order = flipped ? [bare, receiver] : [receiver, bare];
    const loads = [];
    for (const { port } of order) loads.push(await load(port, requests, connections));
    const [one, other] = (flipped ? loads.reverse() : loads) as [Loaded, Loaded];
    bad += one.not_2xx + other.not_2xx;
    return { receiver: one, bare: other };
  };
  try {
    // Both are warm before the first round counts.
    await measure(newBookings('WARM', perRound), CONNECTIONS, false);
    for (let round = 0; round < ROUNDS; round++) {
      const flipped = round % 2 === 1;
      const fresh = await measure(newBookings(`N${round}-`, perRound), CONNECTIONS, flipped);
      rates.new.push([fresh.receiver.per_second, fresh.bare.per_second]);
      rates.p99.push([percentile(fresh.receiver.ms, 0.99), percentile(fresh.bare.ms, 0.99)]);
      const mix = await measure(mixed(`M${round}-`, perRound), CONNECTIONS, flipped);
      rates.mixed.push([mix.receiver.per_second, mix.bare.per_second]);
      const alone = await measure(newBookings(`A${round}-`, ALONE), 1, flipped);
      rates.alone.push([percentile(alone.receiver.ms, 0.5), percentile(alone.bare.ms, 0.5)]);
    }
    const cpuFigures = await cpu(sql, receiver, bare);
    return {
      fsync: String(setting?.fsync),
      new: compared(rates.new),
      mixed: compared(rates.mixed),
      alone_ms: compared(rates.alone),
      p99_ms: compared(rates.p99),
      cpu_us: cpuFigures,
      far_round_trips: await farRoundTrips(databaseUrl),
      memory_mb: residentMb(receiver.pid),
      not_2xx: bad,
    };
  } finally {
    await Promise.all([receiver.stop(), bare.stop()]);
    await sql`drop table if exists bench_deliveries`;
    await sql.end();
  }
}

type Loaded = Awaited<ReturnType<typeof load>>;
/** A figure of the receiver, and that of the bare one beside it. */
type Pair = [receiver: number, bare: number];

function compared(pairs: Pair[]): Compared {
  const median = (values: number[]) => Math.round(percentile(values, 0.5) * 100) / 100;
  return {
    receiver: median(pairs.map(([one]) => one)),
    bare: median(pairs.map(([, other]) => other)),
    ratio: median(pairs.map(([one, other]) => one / other)),
  };
}

async function prepare(sql: postgres.Sql): Promise<void> {
  await sql`truncate users, calendly_webhook_events cascade`;
  const [user] = await sql`insert into users (email) values ('host@example.com') returning id`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (${user?.id}, ${HOST})`;
  await sql`drop table if exists bench_deliveries`;
  await sql`create table bench_deliveries (id bigint generated always as identity primary key, payload jsonb)`;
}

interface Server {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

async function start(databaseUrl: string, argvOf: (port: number) => string[]): Promise<Server> {
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, argvOf(port), {
    env: {
      PATH: process.env.PATH,
      NODE_OPTIONS: process.env.BENCH_NODE_OPTIONS ?? '',
      DATABASE_URL: databaseUrl,
      CALENDLY_WEBHOOK_SIGNING_KEY: KEY,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await untilReady(port);
  return {
    port,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('close', resolve));
    },
  };
}

function newBookings(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => requestText(booking(`${prefix}${index}`)));
}

/** Of ten deliveries seven are bookings, two cancel bookings of a while ago, and one is a copy of such a booking. */
function mixed(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const old = `${prefix}${Math.max(index - 100 - (index % 10), 0)}`;
    if (index % 10 === 7) return requestText(cancellation(old));
    if (index % 10 === 8) return requestText(cancellation(`${old.slice(0, -1)}1`));
    if (index % 10 === 9) return requestText(booking(`${old.slice(0, -1)}2`));
    return requestText(booking(`${prefix}${index}`));
  });
}

/** The bookings of one event, in the order in which its counters grow. */
function webinar(id: string): string[] {
  return Array.from({ length: INVITEES }, (_, index) => {
    const counter = { total: index + 1, active: index + 1, limit: INVITEES };
    const body = booking(id, { invitees_counter: counter });
    body.payload.uri = `${body.payload.event}/invitees/G${index}`;
    return requestText(body);
  });
}

async function cpu(sql: postgres.Sql, receiver: Server, bare: Server) {
  const cpuOf = async ({ port, pid }: Server, requests: string[], application = 'calendly-sync') => {
    const before = await cpuSeconds(sql, pid, application);
    await load(port, requests, CONNECTIONS);
    return Math.round((((await cpuSeconds(sql, pid, application)) - before) / requests.length) * 1_000_000);
  };
  const separate = newBookings('SEPARATE', INVITEES);
  const figures = {
    separate: await cpuOf(receiver, separate),
    mixed: await cpuOf(receiver, mixed('MIXED', INVITEES)),
    bare: await cpuOf(bare, separate, 'postgres.js'),
  };
  const requests = webinar('WEBINAR');
  const quarter = INVITEES / 4;
  const quarters: number[] = [];
  for (let from = 0; from < INVITEES; from += quarter)
    quarters.push(await cpuOf(receiver, requests.slice(from, from + quarter)));
  const [first = 0, , , last = 0] = quarters;
  const mean = quarters.reduce((sum, one) => sum + one, 0) / quarters.length;
  const ratio = Math.round((mean / figures.separate) * 100) / 100;
  return { ...figures, webinar_first_quarter: first, webinar_last_quarter: last, webinar_to_separate: ratio };
}

/** CPU time of the receiver and of the server processes of its connections. */
async function cpuSeconds(sql: postgres.Sql, receiver: number, application: string): Promise<number> {
  const rows = await sql`select pid from pg_stat_activity where application_name = ${application}`;
  const ticks = [receiver, ...rows.map((row) => row.pid as number)].map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / 100;
}

async function farRoundTrips(databaseUrl: string): Promise<number> {
  const proxy = await startSlowProxy(databaseUrl, FAR_MS);
  const receiver = await start(proxy.url, commands.receiver);
  try {
    // The first booking opens the connection and prepares the statement.
    await load(receiver.port, newBookings('FIRST', 3), 1);
    const { ms } = await load(receiver.port, newBookings('FAR', FAR), 1);
    return Math.round((percentile(ms, 0.5) / FAR_MS) * 10) / 10;
  } finally {
    await receiver.stop();
    await proxy.stop();
  }
}

function requestText(body: Loose): string {
  const text = JSON.stringify(body);
  const signature = signatureHeader(KEY, Buffer.from(text), Math.floor(Date.now() / 1_000));
  return [
    `POST ${PATH} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Calendly-Webhook-Signature: ${signature}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    '',
    text,
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

function residentMb(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return Math.round((pages * 4_096) / 1_048_576);
}

if (process.argv[1] === import.meta.filename) {
  const [url = '', deliveries = '20000'] = process.argv.slice(2);
  console.log(JSON.stringify(await benchWebhooks(url, { deliveries: Number(deliveries) }), null, 2));
}
