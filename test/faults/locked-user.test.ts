/** The application has locked the row of a user: what a sync has stored stays, and the run says how it ended. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { start } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

/** A synced account with a new booking, and a transaction that holds the row of its user until `unlock`. */
async function lockedUser() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 5, rateLimit: 50_000 });
  const run = syncing(sandbox, url);
  await run();
  sandbox.control.book();
  const holder = await sql.reserve();
  await holder`begin`;
  await holder`select from users for no key update`;
  const unlock = async () => {
    await holder`rollback`;
    holder.release();
  };
  const isWaiting = async () =>
    (await sql`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)
      .length > 0;
  const state = () => sql`
    select (select status from calendly_sync_runs order by id desc limit 1) as run, lease_owner, last_error_code as error
    from calendly_accounts a join calendly_leases l on l.account_id = a.id`;
  return { url, sql, sandbox, run, unlock, isWaiting, state };
}

test('a run is complete although the row of its user is locked for longer than one attempt to record it', async () => {
  const { sql, sandbox, run, unlock, state } = await lockedUser();
  const running = run();
  await delay(5_000);
  await unlock();
  expect((await running).user).toMatchObject({ status: 'complete', new: 1 });
  expect(await state()).toEqual([{ run: 'complete', lease_owner: null, error: null }]);
  await expectTruth(sql, sandbox);
});

test('a run whose user stays locked fails, releases its lease, and keeps what it has stored', async () => {
  const { sql, sandbox, run, unlock, state } = await lockedUser();
  const { user } = await run();
  expect(user).toMatchObject({ status: 'failed', new: 1, error: { code: 'locked' } });
  expect(user.error?.message).toContain('The meetings are stored');
  expect(await state()).toEqual([{ run: 'failed', lease_owner: null, error: 'locked' }]);
  await expectTruth(sql, sandbox);
  await unlock();
  expect((await run()).user).toMatchObject({ status: 'complete', requests: 1 });
}, 40_000);

test('SIGTERM ends a run that waits for the row of its user within 10 seconds', async () => {
  const { url, sandbox, unlock, isWaiting, state } = await lockedUser();
  const { child, ended } = start(['sync'], settingsOf(sandbox, url));
  onTestFinished(() => void child.kill('SIGKILL'));
  await expect.poll(isWaiting).toBe(true);
  child.kill('SIGTERM');
  expect((await Promise.race([ended, delay(10_000, { code: null }, { ref: false })])).code).toBe(143);
  expect(await state()).toEqual([{ run: 'stopped', lease_owner: null, error: null }]);
  await unlock();
});
