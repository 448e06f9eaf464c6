/**
 * Many accounts that have not changed: accounts per second, CPU and memory of one and of two processes, directly and
 * through PgBouncer, and how long a claim takes while a long transaction is open. Figures, never asserted.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { openServer } from '../../src/database/connection.js';
import { digest, fingerprint } from '../../src/resources/meetings/fingerprint.js';
import { createClaims } from '../../src/sync/claims.js';
import { findPgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { eventId, eventOf, hostUri, MEETINGS_PER_HOST } from './many-hosts.js';
import { emptyTables, program, usageOf } from './sync.js';

interface PassFigures {
  accounts_per_second: number;
  cpu_ms_per_account: number;
  peak_mb: number;
}

const day = Math.floor(Date.now() / 86_400_000) * 86_400_000;
const TOKENS = `export default { async get({ calendlyUri }) {
  return { accessToken: 'token-' + calendlyUri.split('HOST')[1], expiresAt: null };
} };`;

/** @param sizes numbers of accounts */
export async function benchAccounts(databaseUrl: string, sizes: number[]) {
  const tokens = join(mkdtempSync(join(tmpdir(), 'calendly-sync-bench-')), 'tokens.mjs');
  writeFileSync(tokens, TOKENS);
  const figures: Record<string, unknown> = {};
  await emptyTables(databaseUrl);
  let seeded = 0;
  for (const size of sizes) {
    await seed(databaseUrl, seeded, size);
    seeded = size;
    const of: Record<string, unknown> = {};
    for (const latency of [0, 120]) {
      await withHosts(latency, async (api) => {
        const measure = (processes: number, url = databaseUrl) =>
          pass({ url, api, tokens, size, processes, accounts: latency > 0 ? 64 : 16 });
        of[`${latency}_ms`] = await measure(1);
        of[`${latency}_ms_two_processes`] = await measure(2);
        if (latency === 0) {
          const bouncer = findPgbouncer();
          if (bouncer !== null) {
            const pooler = await startPgbouncer(bouncer, databaseUrl, 20);
            of.pgbouncer = await measure(1, pooler.url);
            await pooler.stop();
          }
          of.with_a_long_transaction = await withLongTransaction(databaseUrl, () => measure(1));
        }
      });
    }
    of.claim_ms = await claimTimes(databaseUrl, size);
    of.claim_ms_with_a_long_transaction = await withLongTransaction(databaseUrl, () =>
      claimTimes(databaseUrl, size),
    );
    figures[size] = of;
  }
  return figures;
}

/** Inserts accounts from `from` on, as if each had been synced an hour ago. */
async function seed(databaseUrl: string, from: number, to: number): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  for (let start = from; start < to; start += 1_000) {
    const hosts = Array.from({ length: Math.min(1_000, to - start) }, (_, index) => start + index);
    await sql`
      with x as (select h from unnest(${hosts}::int[]) as h),
      person as (
        insert into users (email, last_calendly_sync, calendly_initial_sync_complete)
        select 'host' || h || '@example.com', now(), true from x returning id, email
      ), account as (
        insert into calendly_accounts (user_id, calendly_uri, email, last_full_listing_at)
        select id, 'https://api.calendly.com/users/' || upper(split_part(email, '@', 1)), email, now()
        from person returning id
      )
      insert into calendly_leases (account_id, due_at, started_at, finished_at)
      select id, now() - interval '1 hour' * random(), now() - interval '1 hour', now() - interval '1 hour' from account`;
    const rows = hosts.flatMap((host) =>
      Array.from({ length: MEETINGS_PER_HOST }, (_, index) => {
        const event = eventOf(host, index, day);
        const raw = JSON.parse(JSON.stringify(event));
        return {
          uri: hostUri(host),
          id: eventId(host, index),
          start: event.start_time,
          end: event.end_time,
          digest: digest(raw),
          fingerprint: fingerprint(raw),
        };
      }),
    );
    await sql`
      with x as (
        select a.user_id, a.id as account_id, r.*
        from jsonb_to_recordset(${sql.json(rows)}) as r
          (uri text, id text, start timestamptz, "end" timestamptz, digest text, fingerprint text)
        join calendly_accounts a on a.calendly_uri = r.uri
      ), m as (
        insert into meetings (user_id, meeting_source, external_id, calendly_uri, title, status, start_time, end_time,
          is_deleted, invitees_total, invitees_active)
        select user_id, 'calendly', id, 'https://api.calendly.com/scheduled_events/' || id, '30 Minute Meeting', 'active',
          start, "end", false, 1, 1 from x returning id, user_id, external_id
      )
      insert into calendly_events (user_id, external_id, meeting_id, account_id, start_time, end_time, digest, fingerprint,
        read_at)
      select x.user_id, x.id, m.id, x.account_id, x.start, x.end, x.digest, x.fingerprint, now()
      from x join m on m.user_id = x.user_id and m.external_id = x.id`;
  }
  await sql`analyze`;
  await sql.end();
}

async function withHosts(latencyMs: number, work: (api: string) => Promise<void>): Promise<void> {
  const script = join(import.meta.dirname, 'many-hosts.ts');
  const argv = ['--import', 'tsx', script, String(day), String(latencyMs)];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((done) =>
    child.stdout.once('data', (line) => done(JSON.parse(String(line)).port)),
  );
  await work(`http://127.0.0.1:${port}`).finally(() => child.kill());
}

interface Pass {
  url: string;
  api: string;
  tokens: string;
  size: number;
  processes: number;
  accounts: number;
}

/** One pass of several processes at once over all accounts. */
async function pass({ url, api, tokens, size, processes, accounts }: Pass): Promise<PassFigures> {
  const env = { PATH: process.env.PATH, DATABASE_URL: url, CALENDLY_API_URL: api };
  const started = performance.now();
  const ended = await Promise.all(
    Array.from({ length: processes }, async () => {
      const argv = [program, 'sync', '--quiet', '--accounts', String(accounts), '--tokens', tokens];
      const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit'] });
      let usage = { peakKb: 0, cpuSeconds: 0 };
      const watch = setInterval(() => {
        usage = usageOf(child.pid ?? 0) ?? usage;
      }, 50);
      const code = await new Promise((done) => child.once('close', done));
      clearInterval(watch);
      if (code !== 0 && code !== 75) throw new Error(`sync exited with ${code}`);
      return usage;
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  const cpu = ended.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  return {
    accounts_per_second: Math.round(size / seconds),
    cpu_ms_per_account: Math.round((cpu * 10_000) / size) / 10,
    peak_mb: Math.round(Math.max(...ended.map(({ peakKb }) => peakKb)) / 1_024),
  };
}

/** Claims of 16 accounts at a time, each released at once, for as many accounts as there are (at most 10,000). */
async function claimTimes(databaseUrl: string, size: number): Promise<{ p50: number; p99: number }> {
  const database = openServer(databaseUrl);
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  await sql`update calendly_leases set due_at = now() - interval '1 hour' * random()`;
  const tokens = { provided: true, ownAccountId: null };
  const claims = createClaims({ database, hasSyncState: true, tokens, slots: 16, pass: null });
  const ms: number[] = [];
  for (let taken = 0; taken < Math.min(size, 10_000); ) {
    const begun = performance.now();
    const claimed = (await claims.take(16)) ?? [];
    if (claimed.length === 0) break;
    ms.push(performance.now() - begun);
    taken += claimed.length;
    const ids = claimed.map(({ account }) => account.id);
    await sql`
      update calendly_leases set lease_owner = null, lease_until = null, due_at = now() + interval '15 minutes'
      where account_id = any(${ids})`;
  }
  await sql.end();
  await database.close();
  ms.sort((a, b) => a - b);
  const at = (share: number) => Math.round((ms[Math.floor(ms.length * share)] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99) };
}

/** Keeps a transaction open that sees the database as it was, as a dump does: nothing that dies is removed. */
async function withLongTransaction<T>(databaseUrl: string, work: () => Promise<T>): Promise<T> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  await sql`begin isolation level repeatable read`;
  await sql`select count(*) from calendly_leases`;
  try {
    return await work();
  } finally {
    await sql`rollback`;
    await sql.end();
  }
}
