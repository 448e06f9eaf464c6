import { beforeAll, describe, expect, test } from 'vitest';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { temporaryFolder } from '../support/program.js';

describe('health', () => {
  let DATABASE_URL: string;

  beforeAll(async () => {
    const { sql, url } = await testDatabase();
    DATABASE_URL = url;
    await sql.unsafe(`
      insert into users (email) values ('dana@example.com'), ('lee@example.com');
      insert into calendly_accounts (user_id, calendly_uri, last_full_listing_at) select id, 'u' || id, now() from users;
      update users set calendly_initial_sync_complete = true, last_calendly_sync = now() - interval '3 hours';`);
  });

  test('health exits 0 when healthy and 4 when not, with one JSON document that says the same', async () => {
    const healthy = await runJson(['health'], { DATABASE_URL });
    expect(healthy).toMatchObject({ code: 0, stderr: '' });
    expect(healthy.document).toMatchObject({
      command: 'health',
      ok: true,
      healthy: true,
      users: [{ user_id: 1, status: 'ok' }, { user_id: 2 }],
      webhook_events: [],
      webhook_subscriptions: [],
      migrations: { pending: [] },
    });
    const stale = await runJson(['health', '--max-age', '2h'], { DATABASE_URL });
    expect(stale.code).toBe(4);
    expect(stale.document).toMatchObject({
      ok: false,
      healthy: false,
      users: [{ status: 'stale', problems: [{ code: 'stale' }] }, { status: 'stale' }],
    });
  });

  test('health --prometheus prints metrics, and nothing else', async () => {
    const { code, stdout } = await runCli(['health', '--prometheus', '--user', '2'], { DATABASE_URL });
    expect(code).toBe(0);
    for (const line of stdout.trimEnd().split('\n')) expect(line).toMatch(/^(# (HELP|TYPE) )?calendly_sync_/);
    expect(stdout).toContain('calendly_sync_user_healthy{user_id="2"} 1\n');
    expect(stdout).not.toContain('user_id="1"');
  });

  test('health exits 5 without tables, and 2 without a setting that names a database', async () => {
    const empty = await testDatabase('empty');
    const none = await runCli(['health'], { DATABASE_URL: empty.url });
    expect(none).toMatchObject({ code: 5, stdout: '' });
    expect(none.stderr).toContain('calendly-sync migrate');
    const nowhere = await runCli(['health'], {}, { cwd: temporaryFolder() });
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toContain('DATABASE_URL is not set');
  });

  test('health exits 75 without a server, and does not print the password', async () => {
    const gone = await runJson(['health'], {
      DATABASE_URL: 'postgres://me:very-secret@127.0.0.1:9/nowhere',
    });
    expect(gone.code).toBe(75);
    expect(gone.stdout + gone.stderr).toContain('127.0.0.1:9');
    expect(gone.stdout + gone.stderr).not.toContain('very-secret');
    expect(gone.document).toMatchObject({ ok: false, error: { code: 'database_unreachable' } });
  });

  test.each(['--max-age 1y', '--prometheus --json', '--user nobody', '--maxage 2h'])(
    'health refuses %s with exit code 2',
    async (flags) => {
      expect((await runCli(['health', ...flags.split(' ')], { DATABASE_URL })).code).toBe(2);
    },
  );
});

test('clean-webhooks reports how many events it deleted, in words and in JSON', async () => {
  const { sql, url: DATABASE_URL } = await testDatabase();
  await sql`insert into calendly_webhook_events (event_id, event_type, payload, created_at, processed_at, signature_verified)
    select n::text, 'invitee.created', '{}', now() - n * interval '12 hours', case when n > 10 then now() end, true
    from generate_series(1, 100) n`;
  const dry = await runJson(['clean-webhooks', '--dry-run', '--older-than', '2d'], { DATABASE_URL });
  expect(dry.document).toMatchObject({
    command: 'clean-webhooks',
    ok: true,
    deleted: 90,
    unprocessed_kept: 7,
    older_than: '2d',
    dry_run: true,
  });
  const real = await runCli(['clean-webhooks'], { DATABASE_URL });
  expect(real.code).toBe(0);
  expect(real.stdout).toMatch(
    /^41 webhook events from before \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC deleted\.\n$/,
  );
  expect(await sql`select 1 from calendly_webhook_events`).toHaveLength(59);
});
