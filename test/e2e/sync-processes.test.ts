/** Several processes on one account, processes that are killed, processes that are stopped by a signal. */
import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { calendlySync, start } from '../support/program.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { expectTruth } from '../support/truth.js';

describe('processes on one account', async () => {
  const { url, sql } = await testDatabase();

  test('two processes never sync one account at once: the later ones exit with 75', async () => {
    const sandbox = await testSandbox({ events: 120, rateLimit: 50_000, latency: 10 });
    const settings = settingsOf(sandbox, url);
    const all = await Promise.all(
      Array.from({ length: 4 }, () => calendlySync(['sync', '--json'], settings)),
    );
    const codes = all.map(({ code }) => code).sort();
    expect(codes).toContain(0);
    for (const { code, stdout } of all) {
      const { users, ok, error } = JSON.parse(stdout);
      expect(ok).toBe(code === 0);
      if (code !== 0) expect([code, users[0].status, error.code]).toEqual([75, 'skipped', 'locked']);
    }
    expect((await runCli(['sync'], settings)).code).toBe(0);
    await expectTruth(sql, sandbox);
  });

  test('a sync that is killed at any moment is completed by the next one, which reads nothing twice', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    const sandbox = await testSandbox({ events: 150, rateLimit: 50_000, latency: 20 });
    const settings = settingsOf(sandbox, url);
    for (let round = 0; round < 8; round++) {
      const running = start(['sync', '--concurrency', '2'], settings);
      const stop = sandbox.requests().length + 5 + round * 7;
      const watch = sandbox.onRequest(() => {
        if (sandbox.requests().length >= stop) running.child.kill('SIGKILL');
      });
      await running.ended;
      watch();
    }
    const [{ stored } = { stored: 0 }] =
      await sql`select count(*)::integer as stored from calendly_events e join meetings m on m.id = e.meeting_id
        where m.invitees_total > 0 and e.fingerprint is not null`;
    sandbox.resetLog();
    const { code, document } = await runJson(['sync'], settings);
    expect(code).toBe(0);
    const invited = sandbox.control
      .state()
      .filter(({ event, invitees }) => invitees.length > 0 && hosted(event, sandbox));
    // A large event has several pages.
    const reads = new Set(sandbox.requests().flatMap(({ path }) => (path.endsWith('/invitees') ? path : [])))
      .size;
    expect(reads).toBeLessThanOrEqual(invited.length - stored);
    expect(document.users[0]).toMatchObject({ status: 'complete', mode: 'full' });
    await expectTruth(sql, sandbox);
    const ends = await sql`select status, count(*)::integer as n from calendly_sync_runs group by 1`;
    expect(ends.find(({ status }) => status === 'running')).toBeUndefined();
  });

  test('a sync that is stopped by SIGTERM commits what it has read, says so, and exits with 143', async () => {
    await sql`truncate meetings, calendly_accounts, users cascade`;
    const sandbox = await testSandbox({ events: 150, rateLimit: 50_000, latency: 20 });
    const settings = settingsOf(sandbox, url);
    const running = start(['sync', '--concurrency', '2'], settings);
    const watch = sandbox.onRequest(() => {
      if (sandbox.requests().length === 60) running.child.kill('SIGTERM');
    });
    const { code, stderr } = await running.ended;
    watch();
    expect(code).toBe(143);
    expect(stderr).toContain('Stopped before the end');
    const [run] = await sql`select status, error_code from calendly_sync_runs`;
    expect(run).toEqual({ status: 'stopped', error_code: 'stopped' });
    const [{ n } = { n: 0 }] = await sql`select count(*)::integer as n from meetings`;
    expect(n).toBeGreaterThan(30);
    const [lease] = await sql`select lease_owner from calendly_leases`;
    expect(lease?.lease_owner).toBeNull();
    expect((await runCli(['sync'], settings)).code).toBe(0);
    await expectTruth(sql, sandbox);
  });
});

function hosted(event: { event_memberships: { user: string }[] }, sandbox: Sandbox): boolean {
  return event.event_memberships.some(({ user }) => user === sandbox.hosts[0]?.uri);
}
