/** `sync` and `force-full` as a user runs them: the built program, a real server, a Calendly on a port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { testDatabase } from '../support/database.js';
import { calendlySync, start } from '../support/program.js';
import { testSandbox } from '../support/sandbox.js';
import { expectTruth } from '../support/truth.js';

const settingsOf = (sandbox: Sandbox, url: string, host = 0) => ({
  DATABASE_URL: url,
  CALENDLY_API_URL: sandbox.url,
  CALENDLY_TOKEN: sandbox.hosts[host]?.token ?? '',
});

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

describe('two processes', async () => {
  const { url, sql } = await testDatabase();

  it('never work on one account at once: the later ones say so and try again later', async () => {
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
    expect((await calendlySync(['sync'], settings)).code).toBe(0);
    await expectTruth(sql, sandbox);
  });

  it('killed at any moment leave what the next run completes, without reading again what was stored', async () => {
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
      await sql`select count(*)::integer as stored from meetings where invitees_total > 0`;
    sandbox.resetLog();
    const { code, stdout } = await calendlySync(['sync', '--json'], settings);
    expect(code).toBe(0);
    const invited = sandbox.control
      .state()
      .filter(({ event, invitees }) => invitees.length > 0 && hosted(event, sandbox));
    const reads = sandbox.requests().filter(({ path }) => path.endsWith('/invitees')).length;
    expect(reads).toBeLessThanOrEqual(invited.length - stored);
    expect(JSON.parse(stdout).users[0]).toMatchObject({ status: 'complete', mode: 'full' });
    await expectTruth(sql, sandbox);
    const ends = await sql`select status, count(*)::integer as n from calendly_sync_runs group by 1`;
    expect(ends.find(({ status }) => status === 'running')).toBeUndefined();
  });

  it('stopped by SIGTERM commit what is in hand, say so, and exit with 143', async () => {
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
    const [lease] = await sql`select lease_owner from calendly_accounts`;
    expect(lease?.lease_owner).toBeNull();
    expect((await calendlySync(['sync'], settings)).code).toBe(0);
    await expectTruth(sql, sandbox);
  });
});

describe('bad input', async () => {
  const { url } = await testDatabase();
  const empty = await testDatabase('empty');
  const TOKEN = 'eyJraWQi.s3cr3t-token-of-a-user';

  const failing = async (settings: Record<string, string>, words = ['sync']) => {
    const plain = await calendlySync(words, settings);
    const json = await calendlySync([...words, '--json', '--verbose'], settings);
    const document = JSON.parse(json.stdout);
    expect(document).toMatchObject({ command: words[0], ok: false });
    expect(json.code).toBe(plain.code);
    for (const text of [plain.stdout, plain.stderr, json.stdout, json.stderr]) {
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain('p4ssw0rd');
    }
    return { code: plain.code, error: document.error.code as string, text: plain.stderr };
  };

  it('a token is missing', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: url });
    expect([code, error]).toEqual([2, 'settings']);
    expect(text).toContain('CALENDLY_TOKEN');
  });

  it('the token is wrong, expired or revoked', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { code, error, text } = await failing({ ...settingsOf(sandbox, url), CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([1, 'calendly_unauthorized']);
    expect(text).toContain('https://calendly.com/integrations');
  });

  it('the database does not answer', async () => {
    const dead = 'postgres://someone:p4ssw0rd@127.0.0.1:9/db';
    const { code, error, text } = await failing({ DATABASE_URL: dead, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([75, 'database_unreachable']);
    expect(text).toContain('127.0.0.1:9');
  });

  it('the database refuses the password', async () => {
    const refused = new URL(url);
    refused.password = 'p4ssw0rd';
    const { code, error } = await failing({ DATABASE_URL: refused.href, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([75, 'database_refused']);
  });

  it('the database lacks our tables', async () => {
    const { code, error, text } = await failing({ DATABASE_URL: empty.url, CALENDLY_TOKEN: TOKEN });
    expect([code, error]).toEqual([5, 'schema_not_ready']);
    expect(text).toContain('calendly-sync migrate');
  });

  it('the URL of the database cannot be read', async () => {
    for (const wrong of ['postgres://u:p4ssw0rd#1@host/db', 'mysql://u:p4ssw0rd@host/db', 'p4ssw0rd']) {
      expect((await failing({ DATABASE_URL: wrong, CALENDLY_TOKEN: TOKEN })).code).toBe(2);
    }
  });

  it('Calendly answers HTML, nothing, or something else than its JSON', async () => {
    const answers = [
      [200, '<!doctype html><title>hello</title>'],
      [200, ''],
      [200, '{"hello":"world"}'],
      [200, '[1,2'],
      [404, '<html>not found</html>'],
    ] as const;
    await Promise.all(
      answers.map(async ([status, body]) => {
        const address = await answering(status, body);
        const result = await failing({ DATABASE_URL: url, CALENDLY_API_URL: address, CALENDLY_TOKEN: TOKEN });
        expect(result).toMatchObject({ code: 1, error: 'calendly_invalid_response' });
        expect(result.text).toContain('CALENDLY_API_URL');
      }),
    );
  });

  it('Calendly does not answer', async () => {
    const result = await failing({
      DATABASE_URL: url,
      CALENDLY_API_URL: 'http://127.0.0.1:9',
      CALENDLY_TOKEN: TOKEN,
    });
    expect(result).toMatchObject({ code: 75, error: 'calendly_unreachable' });
  });

  it('an event listing that is not allowed names the right that is missing', async () => {
    const sandbox = await testSandbox({ events: 0 });
    const { token } = sandbox.control.grant({ scopes: ['users:read'] });
    const fresh = await testDatabase();
    const result = await failing({ ...settingsOf(sandbox, fresh.url), CALENDLY_TOKEN: token });
    expect(result).toMatchObject({ code: 1, error: 'calendly_forbidden' });
    expect(result.text).toContain('scheduled_events:read');
  });

  it('flags are misspelled or their values cannot be read', async () => {
    for (const [words, part] of [
      [['sink'], 'Did you mean sync'],
      [['sync', '--dryrun'], 'Did you mean --dry-run'],
      [['sync', '--concurrency', 'many'], 'whole number'],
      [['sync', '--since', 'yesterday'], '2025-01-31'],
      [['sync', '--since', '2025-02-01', '--until', '2025-01-01'], 'before'],
      [['sync', 'extra'], 'too many arguments'],
    ] as const) {
      const { code, stderr, stdout } = await calendlySync([...words], {
        DATABASE_URL: url,
        CALENDLY_TOKEN: TOKEN,
      });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(part);
    }
  });

  it('no row in users fits, and none can be made', async () => {
    const sandbox = await testSandbox({ events: 5, rateLimit: 50_000 });
    const other = await testDatabase();
    await other.sql`alter table users add column password_hash text not null`;
    const result = await failing(settingsOf(sandbox, other.url));
    expect(result).toMatchObject({ code: 2, error: 'user_unknown' });
    expect(result.text).toContain('password_hash');
    expect(result.text).toContain('--user');
    await other.sql`insert into users (email, password_hash) values ('somebody@else.example', 'x')`;
    const unknown = await failing(settingsOf(sandbox, other.url), ['sync', '--user', 'nobody@example.com']);
    expect(unknown).toMatchObject({ code: 2, error: 'user_unknown' });
    const linked = await calendlySync(
      ['sync', '--user', 'Somebody@Else.example'],
      settingsOf(sandbox, other.url),
    );
    expect(linked.code).toBe(0);
    const [meetings] =
      await other.sql`select count(distinct user_id)::integer as users, count(*)::integer as n from meetings`;
    expect(meetings).toEqual({ users: 1, n: 5 });
    // The link holds: no flag is needed any more, and another user's name is refused.
    expect((await calendlySync(['sync'], settingsOf(sandbox, other.url))).code).toBe(0);
    await other.sql`insert into users (email, password_hash) values ('third@example.com', 'x')`;
    expect(
      await failing(settingsOf(sandbox, other.url), ['sync', '--user', 'third@example.com']),
    ).toMatchObject({ code: 2 });
  });
});

function lines(stdout: string): string[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/, [\d.]+ s\)$/, ', TIME)'));
}

function hosted(event: { event_memberships: { user: string }[] }, sandbox: Sandbox): boolean {
  return event.event_memberships.some(({ user }) => user === sandbox.hosts[0]?.uri);
}

async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
