/** `sync` and `force-full` as a user runs them: the built program, a real server, a Calendly on a port. */
import { describe, expect, it } from 'vitest';
import { testDatabase } from '../support/database.js';
import { calendlySync } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { expectTruth } from '../support/truth.js';

describe('the lines that operators look for', async () => {
  const { url, sql } = await testDatabase();

  it('tell the story of a first, a second and a third sync', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
    const settings = settingsOf(sandbox, url);
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
    const second = await calendlySync(['sync'], settings);
    expect(lines(second.stdout)).toEqual([
      '⚡ Incremental sync - fetching recent data only (3 months back, 6 months forward)',
      '📅 INCREMENTAL SYNC: Fetching recent Calendly events',
      '✅ INCREMENTAL fetch complete: 5 active, 2 canceled',
      '🎉 INCREMENTAL Calendly sync complete: 1 new, 0 updated, 1 deleted, 5 unchanged (3 requests, TIME)',
    ]);
    await expectTruth(sql, sandbox);

    const third = await calendlySync(['sync', '--json'], settings);
    const document = JSON.parse(third.stdout);
    expect(document).toMatchObject({ command: 'sync', ok: true, totals: { unchanged: 7, requests: 1 } });
    expect(document.users).toHaveLength(1);
    expect(document.users[0]).toMatchObject({
      user_id: 1,
      mode: 'incremental',
      status: 'complete',
      error: null,
    });
    expect(third.stderr).toBe('');
    expect((await calendlySync(['sync', '--quiet'], settings)).stdout).toBe('');
    const [health] = await sql`select * from calendly_sync_health`;
    expect(health).toMatchObject({ active_calendly_meetings: '5', deleted_calendly_meetings: '2' });
  });

  it('say why every sync is a full one after 022 was rolled back', async () => {
    const sandbox = await testSandbox({ events: 20, rateLimit: 50_000 });
    const other = await testDatabase();
    const settings = settingsOf(sandbox, other.url);
    await calendlySync(['sync'], settings);
    expect((await calendlySync(['rollback', '--yes'], settings, { cwd: '/tmp' })).code).toBe(0);
    for (let round = 0; round < 2; round++) {
      const { code, stdout, stderr } = await calendlySync(['sync'], settings);
      expect(code).toBe(0);
      expect(stdout).toContain('FULL SYNC');
      expect(stdout).not.toContain('Initial sync');
      expect(stdout).toContain('0 new, 0 updated, 0 deleted, 20 unchanged (1 request');
      expect(stderr).toContain('Migration 022 is not applied');
    }
    await expectTruth(other.sql, sandbox);
  });

  it('begin again from the start after force-full, and touch no row that is right', async () => {
    const sandbox = await testSandbox({ events: 30, rateLimit: 50_000 });
    const other = await testDatabase();
    const settings = settingsOf(sandbox, other.url);
    await calendlySync(['sync'], settings);
    expect((await calendlySync(['force-full', '--mark-only'], settings)).code).toBe(0);
    expect((await calendlySync(['sync'], settings)).stdout).toContain('FULL SYNC');
    const full = await calendlySync(['force-full', '--json', '--all'], settings);
    expect(JSON.parse(full.stdout)).toMatchObject({
      command: 'force-full',
      users: [{ mode: 'full', unchanged: 30, requests: 1 }],
    });
    expect((await calendlySync(['sync'], settings)).stdout).toContain('INCREMENTAL SYNC');
    expect((await calendlySync(['force-full', '--all', '--user', '1'], settings)).code).toBe(2);
  });

  it('change nothing under --dry-run, and say what would be', async () => {
    const sandbox = await testSandbox({ events: 30, rateLimit: 50_000 });
    const other = await testDatabase();
    const settings = settingsOf(sandbox, other.url);
    const before = JSON.parse((await calendlySync(['sync', '--dry-run', '--json'], settings)).stdout);
    expect(
      await other.sql`select (select count(*) from users)::integer as users, (select count(*) from calendly_accounts)::integer as accounts`,
    ).toEqual([{ users: 0, accounts: 0 }]);
    const real = JSON.parse((await calendlySync(['sync', '--json'], settings)).stdout);
    const outcome = ({ totals }: { totals: Record<string, unknown> }) => [
      totals.new,
      totals.recorded_canceled,
      totals.fetched,
    ];
    expect(outcome(before)).toEqual(outcome(real));
    const some = sandbox.control.state().find(({ event }) => event.status === 'active')?.event.uri ?? '';
    sandbox.control.delete({ event: some });
    await other.sql`update calendly_accounts set last_full_listing_at = null`;
    const after = JSON.parse((await calendlySync(['sync', '--dry-run', '--json'], settings)).stdout);
    expect(after.totals).toMatchObject({ deleted: 1, new: 0, updated: 0 });
    expect(await other.sql`select 1 from meetings where deleted_reason = 'gone'`).toHaveLength(0);
  });

  it('read one meeting again, and only one of ours', async () => {
    const sandbox = await testSandbox({ events: 0, rateLimit: 50_000 });
    const other = await testDatabase();
    const settings = settingsOf(sandbox, other.url);
    const mine = sandbox.control.book().event.uri;
    const others = sandbox.control.book({ host: 1, with: [] }).event.uri;
    await calendlySync(['sync'], settings);
    sandbox.control.edit({ event: mine, set: { name: 'New name' } });
    const { code, stdout } = await calendlySync(['sync', '--event', mine, '--json'], settings);
    expect([code, JSON.parse(stdout).totals]).toMatchObject([0, { updated: 1, requests: 2 }]);
    await expectTruth(other.sql, sandbox);
    expect((await calendlySync(['sync', '--event', others], settings)).code).not.toBe(0);
    expect((await calendlySync(['sync', '--event', 'nonsense'], settings)).code).toBe(2);
  });
});

function lines(stdout: string): string[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/, [\d.]+ s\)$/, ', TIME)'));
}
