/** The lease as a fence: what has lost it writes nothing more, and what holds it blocks nobody for long. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { claimAccount } from '../../src/accounts/lease.js';
import { type Database, openServer } from '../../src/database/connection.js';
import { endFrozenSessions } from '../../src/database/tables/leases.js';
import { runCli } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { startFaultyProxy } from '../support/faulty-proxy.js';
import { start } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

async function claimed() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  const [account] = await sql`
    insert into calendly_accounts (user_id, calendly_uri) select id, 'https://x/users/U' from users returning id`;
  const database = openServer(url);
  onTestFinished(() => database.close());
  const lost: string[] = [];
  const claim = () => claimAccount(database, String(account?.id), true, ({ code }) => lost.push(code));
  const [user] = await sql`select id from users`;
  const runEnd = { ...END, userId: String(user?.id) };
  return { sql, database, claim, lost, runEnd };
}

/** A run that was complete. */
const END = {
  outcome: 'complete',
  mode: 'full',
  window: null,
  counts: {},
  requests: 0,
  retries: 0,
  rateLimitWaitMs: 0,
  error: null,
  always: true,
  everyS: null,
  listedAll: false,
  syncState: null,
} as const;

test('a process that lost its lease writes nothing, and is told so', async () => {
  const { sql, claim, lost, runEnd } = await claimed();
  const { lease } = await claim();
  const rename = (name: string) => lease.transaction((tx) => tx`update users set name = ${name}`);
  await rename('mine');
  await sql`update calendly_leases set lease_until = now() - interval '1 second'`;
  const { lease: successor } = await claim();
  await expect(rename('late')).rejects.toMatchObject({ code: 'locked' });
  await expect(lease.end(runEnd)).rejects.toMatchObject({ code: 'locked' });
  expect(lost[0]).toBe('locked');
  expect(await sql`select name from users`).toEqual([{ name: 'mine' }]);
  await successor.release();
});

test('every write limits how long it waits for a lock, may be idle and may take', async () => {
  const { claim } = await claimed();
  const { lease } = await claim();
  const [limits] = await lease.transaction(
    (tx) => tx`select current_setting('lock_timeout') as lock,
      current_setting('idle_in_transaction_session_timeout') as idle,
      current_setting('statement_timeout') as statement,
      case when current_setting('server_version_num')::integer >= 170000
        then current_setting('transaction_timeout') else '2min' end as transaction`,
  );
  expect(limits).toEqual({ lock: '4s', idle: '1min', statement: '1min', transaction: '2min' });
  await lease.release();
});

test('a lost answer to the commit that ends a run does not make the run fail, nor record it twice', async () => {
  const { sql, claim, runEnd } = await claimed();
  const { lease } = await claim();
  await lease.end(runEnd);
  await lease.end(runEnd);
  expect(await sql`select status from calendly_sync_runs`).toEqual([{ status: 'complete' }]);
  expect(await sql`select lease_owner from calendly_leases`).toEqual([{ lease_owner: null }]);
});

test('a lease is released when its run fails before it has begun', async () => {
  const { claim, sql } = await claimed();
  const { lease } = await claim();
  await lease.release();
  expect(await sql`select lease_owner from calendly_leases`).toEqual([{ lease_owner: null }]);
  await (await claim()).lease.release();
});

test('a holder frozen between Parse and Bind is ended by its successor a minute later, and no other session is', async () => {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email, name) values ('host@example.com', 'before')`;
  const [account] = await sql`
    insert into calendly_accounts (user_id, calendly_uri) select id, 'https://x/users/U' from users returning id`;
  const proxy = await startFaultyProxy(url);
  const claim = (database: Database) => claimAccount(database, String(account?.id), true, () => {});
  const [frozen, successor] = [proxy.url, url].map((address) => openServer(address, { max: 1 }));
  if (!frozen || !successor) throw new Error('two databases were opened');
  onTestFinished(async () => {
    await Promise.all([frozen.close(), successor.close()]);
  });
  const { lease } = await claim(frozen);
  // The frozen session locks the row, so it expires before.
  await sql`update calendly_leases set lease_until = now() - interval '1 second'`;
  proxy.swallowAt('written while frozen');
  const writing = lease.transaction((tx) => tx`update users set name = ${'written while frozen'}`);
  writing.catch(() => {});
  const waiting = () => sql`select state from pg_stat_activity
    where wait_event = 'ClientRead' and query like 'update users%' and datname = current_database()`;
  await expect.poll(waiting).toEqual([{ state: 'active' }]);
  await expect(claim(successor)).rejects.toMatchObject({ code: 'locked' });
  await delay(300);
  expect(await successor.transaction((tx) => endFrozenSessions(tx, 200))).toBe(1);
  await expect.poll(waiting).toEqual([]);
  await (await claim(successor)).lease.release();
  expect(await sql`select name from users`).toEqual([{ name: 'before' }]);
  proxy.cut();
  await expect(writing).rejects.toMatchObject({ code: 'locked' });
});

test('a frozen process whose account was taken over writes nothing once it continues', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 150, rateLimit: 50_000, latency: 20 });
  const settings = settingsOf(sandbox, url);
  const frozen = start(['sync', '--concurrency', '2'], settings);
  onTestFinished(() => void frozen.child.kill('SIGKILL'));
  await expect
    .poll(async () => (await sql`select from calendly_events where fingerprint is not null`).length)
    .toBeGreaterThan(20);
  frozen.child.kill('SIGSTOP');
  // The server ends a transaction in which the process was frozen.
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`;
  await sql`update calendly_leases set lease_until = now() - interval '1 second'`;
  expect((await runCli(['sync'], settings)).code).toBe(0);
  await expectTruth(sql, sandbox);
  const state = () => sql`
    select (select md5(string_agg(e::text, ',' order by external_id)) from calendly_events e) as events,
      (select md5(string_agg(m::text, ',' order by id)) from meetings m) as meetings,
      (select md5(string_agg(r::text, ',' order by id)) from calendly_sync_runs r) as runs`;
  const before = await state();
  frozen.child.kill('SIGCONT');
  expect((await frozen.ended).code).toBe(75);
  expect(await state()).toEqual(before);
});

test('a sync whose connection is lost in the middle of a transaction completes, and its process ends', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 150, rateLimit: 50_000, latency: 20 });
  const { child, ended, output } = start(['sync', '--json', '--concurrency', '4'], settingsOf(sandbox, url));
  onTestFinished(() => void child.kill('SIGKILL'));
  await expect
    .poll(async () => (await sql`select from meeting_invitees`).length, { interval: 5 })
    .toBeGreaterThan(20);
  await expect
    .poll(terminated(sql, 'idle in transaction'), { interval: 3, timeout: 5_000 })
    .toBeGreaterThan(0);
  await expect.poll(() => output().stdout, { timeout: 20_000 }).toContain('"ok"');
  expect((await Promise.race([ended, delay(5_000, { code: 'none' }, { ref: false })])).code).toBe(0);
  await expectTruth(sql, sandbox);
});

/** Terminates the connections of the test's database that are in a state; returns how many. */
const terminated = (sql: Awaited<ReturnType<typeof testDatabase>>['sql'], state: string) => async () =>
  (
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where state = ${state} and datname = current_database() and pid <> pg_backend_pid()`
  ).length;

test('a table that somebody else has locked ends a sync within 10 seconds, and exits with 75', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 5, rateLimit: 50_000 });
  const settings = settingsOf(sandbox, url);
  await runCli(['sync'], settings);
  const holder = await sql.reserve();
  await holder`begin`;
  await holder`lock table meetings in access exclusive mode`;
  const { child, ended } = start(['sync'], settings);
  onTestFinished(() => void child.kill('SIGKILL'));
  expect((await Promise.race([ended, delay(10_000, { code: 'none' }, { ref: false })])).code).toBe(75);
  await holder`rollback`;
  holder.release();
});

test('a row that somebody else has locked is put off, and all others are stored', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 40, rateLimit: 50_000 });
  const run = syncing(sandbox, url);
  await run();
  await sql`update meetings set title = 'old', raw = raw || '{"name": "old"}'`;
  await sql`update calendly_events set digest = '', written_at = now() - interval '1 hour'`;
  await sql`update calendly_accounts set last_full_listing_at = null`;
  const holder = await sql.reserve();
  await holder`begin`;
  const [locked] = await holder`select id from meetings order by id limit 1 for update`;
  const { user } = await run();
  await holder`rollback`;
  holder.release();
  expect(user).toMatchObject({ status: 'failed', error: { code: 'incomplete' } });
  expect(await sql`select id from meetings where title = 'old'`).toEqual([{ id: locked?.id }]);
  await sql`update calendly_accounts set last_full_listing_at = null`;
  expect((await run()).user).toMatchObject({ status: 'complete' });
  await expectTruth(sql, sandbox);
});

test('SIGTERM is heard within 10 seconds, also while a lock is waited for', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 40, rateLimit: 50_000 });
  const settings = settingsOf(sandbox, url);
  await runCli(['sync'], settings);
  await sql`update calendly_events set digest = '', written_at = now() - interval '1 hour'`;
  await sql`update meetings set title = 'old', raw = raw || '{"name": "old"}'`;
  await sql`update users set calendly_initial_sync_complete = false`;
  const holder = await sql.reserve();
  await holder`begin`;
  await holder`select id from meetings for update`;
  const { child, ended } = start(['sync'], settings);
  await expect
    .poll(
      async () =>
        (
          await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
        ).length,
    )
    .toBeGreaterThan(0);
  const asked = performance.now();
  child.kill('SIGTERM');
  expect((await Promise.race([ended, delay(10_000, { code: null }, { ref: false })])).code).toBe(143);
  expect(performance.now() - asked).toBeLessThan(10_000);
  await holder`rollback`;
  holder.release();
});
