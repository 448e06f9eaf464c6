import { beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.js';
import { testDatabase } from '../../support/database.js';

/** Runs `health` on a terminal with `columns` columns (null: no terminal). */
async function shown(url: string, columns: number | null, argv: string[] = []) {
  const settings = { DATABASE_URL: url, NO_COLOR: '1' };
  const result = await runCli(['health', ...argv], settings, columns === null ? {} : { columns });
  return { ...result, lines: result.stdout.trimEnd().split('\n') };
}

describe('the health report', () => {
  let url: string;

  beforeAll(async () => {
    const database = await testDatabase();
    url = database.url;
    await database.sql.unsafe(`
      insert into users (email) select 'person' || n || '@a-rather-long-domain.example.com' from generate_series(1, 30) n;
      insert into calendly_accounts (user_id, calendly_uri, last_full_listing_at)
        select id, 'u' || id, now() from users where id <= 25;
      update users set calendly_initial_sync_complete = true, last_calendly_sync = now() - case
        when id > 12 then interval '4 minutes' else interval '50 hours' end;
      insert into calendly_sync_runs (account_id, user_id, mode, status, finished_at, error_code, error)
        select id, user_id, 'full', 'failed', now(), 'calendly_unreachable',
          E'Calendly at https://api.calendly.com does not answer\\nto any of the requests that were sent \\u001b[31mto it'
        from calendly_accounts where user_id = 1;
      insert into calendly_webhook_events (event_id, event_type, payload, signature_verified)
        select n::text, 'invitee.' || n % 3, '{}', true from generate_series(1, 20) n;`);
  });

  test.each([80, 140])(
    'on a terminal of %i columns health fits into its width, and on one screen',
    async (columns) => {
      const { code, lines } = await shown(url, columns);
      expect(code).toBe(4);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines.length).toBeLessThanOrEqual(45);
      const text = lines.join('\n');
      expect(text).toContain('✖ 13 problems, checked ');
      expect(text).toContain('… and 4 more users with problems (--json shows all)');
      expect(text).toContain('… and 13 more users without problems (--json shows all)');
      expect(text).toContain('… and 5 more problems (--json shows all)');
      expect(text).toContain('→ calendly-sync sync --user person1@a-rather-long-domain.example.com');
      expect(text).toContain('Rows in users without a Calendly account: 5');
      expect(text).not.toContain('\u001b');
    },
  );

  test('without a terminal health prints every fact on a line of its own', async () => {
    const { lines } = await shown(url, null);
    const problems = lines.filter((line) => line.startsWith('✖ person'));
    expect(problems).toHaveLength(13);
    for (const line of problems)
      expect(line).toMatch(/^✖ person\d+@.*: .+ → calendly-sync sync --user person/);
    const rows = lines.map((line) => line.split('\t')).filter((cells) => cells.length > 1);
    expect(rows).toHaveLength(26);
    expect(rows[0]?.slice(0, 4)).toEqual(['user', 'status', 'problems', 'last_sync']);
    expect(new Set(rows.map((cells) => cells.length)).size).toBe(1);
    for (const [, , , time] of rows.slice(1)) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z$/);
  });

  test('under --quiet health prints only the problems, each on one line on stderr', async () => {
    const { code, stdout, stderr } = await shown(url, null, ['--quiet']);
    expect([code, stdout]).toEqual([4, '']);
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(13);
    for (const line of lines) expect(line).toMatch(/^✖ person\d+@.*: .+ → calendly-sync sync --user person/);
    expect(await shown(url, null, ['--quiet', '--user', '20'])).toMatchObject({ code: 0, stderr: '' });
  });

  test('when nothing is wrong, health is short and says so first', async () => {
    const { code, lines, stderr } = await shown(url, 80, ['--user', '20']);
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^✔ Healthy, checked \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(lines.length).toBeLessThanOrEqual(10);
    expect(stderr).toMatch(/^Database: 127\.0\.0\.1:\d+\/\w+\n$/);
  });
});
