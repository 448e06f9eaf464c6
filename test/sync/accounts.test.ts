/** Syncing many accounts: one pass, those that are due, and what happens to the ones that cannot be synced. */
import { expect, test } from 'vitest';
import type { UserResult } from '../../src/sync/report.js';
import { connectedAccounts } from '../support/accounts.js';
import { runCli, runJson } from '../support/cli.js';

test('one pass syncs every account, and its lines begin with the e-mail of the account', async () => {
  const { settings, sandbox, sql } = await connectedAccounts({ hosts: 3, events: 12 });
  const { code, stdout } = await runCli(['sync'], settings);
  expect(code).toBe(0);
  for (const { email } of sandbox.hosts) {
    expect(stdout).toContain(`[${email}] 🎯 Initial sync needed`);
    expect(stdout).toContain(`[${email}] 🎉 FULL Calendly sync complete: `);
  }
  const again = await runJson(['sync'], settings);
  expect(again.document).toMatchObject({ command: 'sync', ok: true, totals: { requests: 3 } });
  expect(again.document.users.map((user: UserResult) => [user.status, user.mode, user.requests])).toEqual(
    Array(3).fill(['complete', 'incremental', 1]),
  );
  expect(await sql`select count(distinct user_id)::int as n from meetings`).toEqual([{ n: 3 }]);
});

test('a failing account exits with 3, harms no other, and backs off under --due but not under plain sync', async () => {
  const { settings, sandbox, sql } = await connectedAccounts({ hosts: 3, events: 3 });
  const [, broken] = sandbox.hosts;
  sandbox.control.fail({
    kind: 'status',
    status: 404,
    count: null,
    match: encodeURIComponent(broken?.uri ?? ''),
  });
  const first = await runJson(['sync'], settings);
  expect(first.code).toBe(3);
  const statuses = (users: UserResult[]) =>
    Object.fromEntries(users.map((user) => [user.email, user.status]));
  expect(statuses(first.document.users)).toMatchObject({ [broken?.email ?? '']: 'failed' });
  expect(first.document.users.filter((user: UserResult) => user.status === 'complete')).toHaveLength(2);
  const [lease] = await sql`
    select failures, due_at > now() + interval '30 seconds' as later from calendly_leases where failures > 0`;
  expect(lease).toEqual({ failures: 1, later: true });
  const due = await runJson(['sync', '--due', '15m'], settings);
  expect([due.code, due.document.users.length]).toEqual([0, 0]);
  await sql`update calendly_leases set started_at = started_at - interval '20 minutes'`;
  const later = await runJson(['sync', '--due', '15m'], settings);
  expect(later.code).toBe(0);
  expect(statuses(later.document.users)).toMatchObject({ [broken?.email ?? '']: 'skipped' });
  expect((await runJson(['sync'], settings)).code).toBe(3);
  expect((await runJson(['sync', '--user', broken?.email ?? ''], settings)).document.users).toHaveLength(1);
});
