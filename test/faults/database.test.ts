/** Failures of the database during a sync: restarts, deadlocks, full disks, read-only servers, timeouts. The rows end up correct. */
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

type Database = Awaited<ReturnType<typeof testDatabase>>;

/** Makes the first `times` inserts into a table fail with an SQLSTATE (nextval survives the rollback). */
async function refuse({ sql }: Database, state: string, times: number, table = 'meetings'): Promise<void> {
  await sql`create sequence refusals`;
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if nextval('refusals') <= ${times} then
        raise exception 'refused for a test' using errcode = '${state}';
      end if;
      return null;
    end $$;
    create trigger refuse before insert on ${table} for each statement execute function refuse()`);
}

describe('transient failures', () => {
  for (const [name, state] of [
    ['a deadlock', '40P01'],
    ['a serialization failure', '40001'],
    ['a server that shuts down', '57P01'],
  ] as const) {
    test(`${name} is retried within the run`, async () => {
      const database = await testDatabase();
      const sandbox = await testSandbox({ events: 120, rateLimit: 50_000 });
      await refuse(database, state, 3);
      const { user } = await syncing(sandbox, database.url)();
      expect(user).toMatchObject({ status: 'complete', error: null });
      expect(user.new + user.recorded_canceled).toBe(120);
      await expectTruth(database.sql, sandbox);
    });
  }

  test('a deadlock while pages are listed loses no row of the page', async () => {
    const database = await testDatabase();
    const sandbox = await testSandbox({ events: 250, rateLimit: 50_000 });
    await refuse(database, '40P01', 4, 'calendly_pending_events');
    const { user } = await syncing(sandbox, database.url)();
    expect(user).toMatchObject({ status: 'complete', error: null });
    expect(user.new + user.recorded_canceled).toBe(250);
    await expectTruth(database.sql, sandbox);
  });

  test('connections that are cut again and again are reopened within the run', async () => {
    const database = await testDatabase();
    const sandbox = await testSandbox({ events: 200, rateLimit: 50_000, latency: 5 });
    const run = syncing(sandbox, database.url);
    let cuts = 0;
    const stop = sandbox.onRequest(async () => {
      if (sandbox.requests().length % 40 !== 39) return;
      cuts++;
      await database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'calendly-sync'`;
    });
    const { user } = await run();
    stop();
    expect(cuts).toBeGreaterThan(3);
    expect(user).toMatchObject({ status: 'complete', error: null });
    await expectTruth(database.sql, sandbox);
  });
});

describe('lasting failures', () => {
  for (const [name, state] of [
    ['a full disk', '53100'],
    ['a statement timeout', '57014'],
    ['a missing privilege', '42501'],
  ] as const) {
    test(`${name} is reported, and the next run completes the sync`, async () => {
      const database = await testDatabase();
      const sandbox = await testSandbox({ events: 120, rateLimit: 50_000 });
      const run = syncing(sandbox, database.url);
      await refuse(database, state, 1_000_000);
      const { user } = await run();
      expect(user.status).toBe('failed');
      expect(user.error?.message).toContain(state);
      const [flags] = await database.sql`select calendly_initial_sync_complete as done from users`;
      expect(flags?.done).toBe(false);
      await database.sql`drop trigger refuse on meetings`;
      expect((await run()).user).toMatchObject({ status: 'complete', mode: 'full' });
      await expectTruth(database.sql, sandbox);
    });
  }

  test('a server that became read-only is reported, and the next run completes the sync', async () => {
    const database = await testDatabase();
    const sandbox = await testSandbox({ events: 30, rateLimit: 50_000 });
    await syncing(sandbox, database.url)();
    await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only = on`);
    // Like a standby: also a transaction that asks for writing gets none.
    const readOnly = new URL(database.url);
    readOnly.searchParams.set('default_transaction_read_only', 'on');
    await expect(syncing(sandbox, readOnly.href)()).rejects.toMatchObject({
      code: 'database_unreachable',
      hint: expect.stringContaining('try again later'),
    });
    await database.sql.unsafe(`alter database ${database.name} reset default_transaction_read_only`);
    expect((await syncing(sandbox, database.url)()).user).toMatchObject({ status: 'complete', updated: 0 });
  });
});

describe('concurrent runs', () => {
  test('five runs at once end in at least one complete run, no failed one, and the correct rows', async () => {
    const database = await testDatabase();
    const sandbox = await testSandbox({ events: 120, rateLimit: 50_000, latency: 5 });
    await syncing(sandbox, database.url)({ dryRun: true });
    const runs = await Promise.all(Array.from({ length: 5 }, () => syncing(sandbox, database.url)()));
    const statuses = runs.map(({ user }) => user.status);
    expect(statuses.filter((status) => status === 'complete').length).toBeGreaterThanOrEqual(1);
    expect(statuses.filter((status) => status === 'failed')).toEqual([]);
    expect(runs.reduce((sum, { user }) => sum + user.new + user.recorded_canceled, 0)).toBe(120);
    await expectTruth(database.sql, sandbox);
  });

  test('a lease whose process on this host is dead is taken over at once', async () => {
    const database = await testDatabase();
    const sandbox = await testSandbox({ events: 10, rateLimit: 50_000 });
    const run = syncing(sandbox, database.url);
    await run();
    const { ownIdentity } = await import('../../src/process-identity.js');
    const dead = { run: 'x', ...ownIdentity(), pid: 4_000_000 };
    await database.sql`
      update calendly_leases set lease_owner = ${JSON.stringify(dead)}, lease_until = now() + interval '2 minutes'`;
    expect((await run()).user.status).toBe('complete');
    const elsewhere = { ...dead, host: 'another-host', boot: 'another-boot', namespace: 'another' };
    await database.sql`
      update calendly_leases set lease_owner = ${JSON.stringify(elsewhere)}, lease_until = now() + interval '2 minutes'`;
    expect((await run()).user).toMatchObject({ status: 'skipped', error: { code: 'locked' } });
    await database.sql`update calendly_leases set lease_until = now() - interval '1 second'`;
    expect((await run()).user.status).toBe('complete');
  });
});
