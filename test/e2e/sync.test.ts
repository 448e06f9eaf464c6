/** `sync` and `force-full` as a user runs them: a real server, a Calendly on a port. */
import { expect, test } from 'vitest';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { calendlySync } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { expectTruth } from '../support/truth.js';

async function testAccount(events: number) {
  const sandbox = await testSandbox({ events, rateLimit: 50_000 });
  const { url, sql } = await testDatabase();
  return { sandbox, sql, settings: settingsOf(sandbox, url) };
}

test('the built program prints the documented lines of a first, a second and a third sync', async () => {
  const { sandbox, sql, settings } = await testAccount(0);
  for (let day = 1; day <= 5; day++) sandbox.control.book({ start: `+${day}d` });
  const { event } = sandbox.control.book({ start: '-20d', created: '-30d' });
  sandbox.control.cancel({ event: event.uri });

  const first = await calendlySync(['sync'], settings);
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(lines(first.stdout)).toEqual([
    '🎯 Initial sync needed - will fetch 2 years of historical data',
    '📅 FULL SYNC: Fetching all Calendly events (2 years back, 1 year forward)',
    '✅ FULL fetch complete: 5 active, 1 canceled',
    '✅ Initial sync complete - future syncs will be incremental',
    '🎉 FULL Calendly sync complete: 5 new, 0 updated, 0 deleted, 0 unchanged, 1 recorded as canceled (8 requests, TIME)',
  ]);
  const canceled = sandbox.control.state().find((one) => one.event.status === 'active');
  sandbox.control.cancel({ event: canceled?.event.uri ?? '' });
  sandbox.control.book({ start: '+9d' });
  const second = await runCli(['sync'], settings);
  expect(lines(second.stdout)).toEqual([
    '⚡ Incremental sync - fetching recent data only (3 months back, 6 months forward)',
    '📅 INCREMENTAL SYNC: Fetching recent Calendly events',
    '✅ INCREMENTAL fetch complete: 5 active, 2 canceled',
    '🎉 INCREMENTAL Calendly sync complete: 1 new, 0 updated, 1 deleted, 5 unchanged (3 requests, TIME)',
  ]);
  expect(second.stderr).toMatch(/^ {2}\+ \w{3} \d\d \w{3} \d\d:\d\d UTC {2}.+ {2}new$/m);
  expect(second.stderr).toMatch(/^ {2}- .+ UTC {2}.+ {2}deleted$/m);
  await expectTruth(sql, sandbox);

  const { document, stderr } = await runJson(['sync'], settings);
  expect(document).toMatchObject({ command: 'sync', ok: true, totals: { unchanged: 7, requests: 1 } });
  expect(document.users).toHaveLength(1);
  expect(document.users[0]).toMatchObject({
    user_id: 1,
    mode: 'incremental',
    status: 'complete',
    error: null,
  });
  expect(stderr).toBe('');
  expect((await runCli(['sync', '--quiet'], settings)).stdout).toBe('');
  const [health] = await sql`select * from calendly_sync_health`;
  expect(health).toMatchObject({ active_calendly_meetings: '5', deleted_calendly_meetings: '2' });
});

test('on a terminal every line of a sync fits its width, and no word is lost', async () => {
  const { settings } = await testAccount(3);
  const { stdout } = await runCli(['sync'], { ...settings, CI: '1', NO_COLOR: '1' }, { columns: 40 });
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(40);
  const words = stdout.replace(/\s+/g, ' ');
  expect(words).toContain('📅 FULL SYNC: Fetching all Calendly events (2 years back, 1 year forward)');
});

test('after 022 was rolled back every sync is a full one, and says why', async () => {
  const { sandbox, sql, settings } = await testAccount(20);
  await runCli(['sync'], settings);
  expect((await calendlySync(['rollback', '--yes'], settings, { cwd: '/tmp' })).code).toBe(0);
  for (let round = 0; round < 2; round++) {
    const { code, stdout, stderr } = await runCli(['sync'], settings);
    expect(code).toBe(0);
    expect(stdout).toContain('FULL SYNC');
    expect(stdout).not.toContain('Initial sync');
    expect(stdout).toContain('0 new, 0 updated, 0 deleted, 20 unchanged (1 request');
    expect(stderr).toContain('Migration 022 is not applied');
  }
  await expectTruth(sql, sandbox);
});

test('force-full lists everything again and leaves unchanged rows alone', async () => {
  const { settings } = await testAccount(30);
  await runCli(['sync'], settings);
  expect((await runCli(['force-full', '--mark-only'], settings)).code).toBe(0);
  expect((await runCli(['sync'], settings)).stdout).toContain('FULL SYNC');
  expect((await runJson(['force-full', '--all'], settings)).document).toMatchObject({
    command: 'force-full',
    users: [{ mode: 'full', unchanged: 30, requests: 1 }],
  });
  expect((await runCli(['sync'], settings)).stdout).toContain('INCREMENTAL SYNC');
  expect((await runCli(['force-full', '--all', '--user', '1'], settings)).code).toBe(2);
});

test('sync --dry-run reports what would change and writes nothing', async () => {
  const { sandbox, sql, settings } = await testAccount(30);
  const { document: before } = await runJson(['sync', '--dry-run'], settings);
  expect(
    await sql`
      select (select count(*) from users)::integer as users,
        (select count(*) from calendly_accounts)::integer as accounts`,
  ).toEqual([{ users: 0, accounts: 0 }]);
  const { document: real } = await runJson(['sync'], settings);
  for (const key of ['new', 'recorded_canceled', 'fetched']) {
    expect(before.totals[key]).toEqual(real.totals[key]);
  }
  const some = sandbox.control.state().find(({ event }) => event.status === 'active')?.event.uri ?? '';
  sandbox.control.delete({ event: some });
  await sql`update calendly_accounts set last_full_listing_at = null`;
  const { document: after } = await runJson(['sync', '--dry-run'], settings);
  expect(after.totals).toMatchObject({ deleted: 1, new: 0, updated: 0 });
  expect(await sql`select 1 from meetings where deleted_reason = 'gone'`).toHaveLength(0);
});

test('sync --event reads one meeting again, by URI or id, and only one that the user hosts', async () => {
  const { sandbox, sql, settings } = await testAccount(0);
  const mine = sandbox.control.book().event.uri;
  const others = sandbox.control.book({ host: 1, with: [] }).event.uri;
  await runCli(['sync'], settings);
  sandbox.control.edit({ event: mine, set: { name: 'New name' } });
  const { code, document } = await runJson(['sync', '--event', mine], settings);
  expect([code, document.totals]).toMatchObject([0, { updated: 1, requests: 2 }]);
  await expectTruth(sql, sandbox);
  const byId = await runJson(['sync', '--event', mine.split('/').at(-1) ?? ''], settings);
  expect([byId.code, byId.document.totals]).toMatchObject([0, { unchanged: 1, updated: 0 }]);
  expect((await runCli(['sync', '--event', others], settings)).code).not.toBe(0);
  expect((await runCli(['sync', '--event', 'NO-SUCH-EVENT-1'], settings)).code).toBe(1);
  expect((await runCli(['sync', '--event', 'no such thing'], settings)).code).toBe(2);
});

function lines(stdout: string): string[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/, [\d.]+ s\)$/, ', TIME)'));
}
