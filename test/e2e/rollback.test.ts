import { PassThrough } from 'node:stream';
import type postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.js';
import { VERSIONS } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { calendlySync, temporaryFolder } from '../support/program.js';
import { schemaOf } from '../support/schema.js';

async function filled() {
  const { url, sql } = await testDatabase();
  const home = temporaryFolder();
  await sql`insert into users (email, last_calendly_sync) values ('ada@example.com', '2026-01-31T08:00:00.123456Z')`;
  await sql`insert into calendly_webhook_events (event_id, event_type, payload) select 'e' || n, 'invitee.created', '{}' from generate_series(1, 12) as n`;
  return { url, sql, home, settings: { DATABASE_URL: url, CALENDLY_SYNC_HOME: home } };
}

/** Names of the backup schemas. */
async function backups(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<
    { nspname: string }[]
  >`select nspname from pg_namespace where nspname like 'calendly_backup%'`;
  return rows.map(({ nspname }) => nspname);
}

function eventCount(sql: postgres.Sql) {
  return sql`select count(*)::integer as n from calendly_webhook_events`.then(([row]) => row?.n as number);
}

describe('rollback without a terminal', () => {
  test('asks for --yes, with exit code 2 and nothing done', async () => {
    const { sql, settings } = await filled();
    const before = await schemaOf(sql);
    const { code, stderr } = await calendlySync(['rollback'], settings);
    expect(code).toBe(2);
    expect(stderr).toContain('Add --yes to do it');
    expect(stderr).toContain('  table calendly_webhook_events (12 rows)');
    expect(stderr).toContain('  column users.last_calendly_sync (1 value)');
    expect(await schemaOf(sql)).toEqual(before);
    expect(await backups(sql)).toEqual([]);
  });

  test('with --yes takes 022 back, says where the backup is, and migrate --restore puts it back', async () => {
    const { sql, settings } = await filled();
    const { code, stdout } = await calendlySync(['rollback', '--yes', '--json'], settings);
    expect(code).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toEqual({
      command: 'rollback',
      database: expect.stringMatching(/^127\.0\.0\.1:\d+\/\w+$/),
      ok: true,
      rolled_back: [{ version: '022', name: 'calendly_sync_optimization' }],
      backup: (await backups(sql))[0],
    });
    expect(
      await sql`select column_name from information_schema.columns where table_name = 'users' and column_name like '%calendly%'`,
    ).toEqual([]);
    expect(
      await sql`select to_regclass('calendly_webhook_events') as events, to_regclass('calendly_sync_health') as health`,
    ).toEqual([{ events: null, health: null }]);
    const restored = await calendlySync(['migrate', '--restore', document.backup, '--json'], settings);
    expect(restored.code).toBe(0);
    expect(JSON.parse(restored.stdout)).toMatchObject({
      applied: [{ version: '022' }],
      restored: [
        { table: 'users', rows: 1, restored: 1 },
        { table: 'calendly_webhook_events', rows: 12, restored: 12 },
      ],
    });
    expect(await sql`select last_calendly_sync::text from users`).toEqual([
      { last_calendly_sync: '2026-01-31 08:00:00.123456+00' },
    ]);
    const again = await calendlySync(['migrate', '--restore', document.backup], settings);
    expect(again.stdout).toContain('calendly_webhook_events: 0 of 12 restored, 12 already present');
  });

  test('--no-backup writes none; --to 0 takes everything; then there is nothing left to do', async () => {
    const { sql, settings } = await filled();
    const { code, stdout } = await calendlySync(['rollback', '--to', '0', '--yes', '--no-backup'], settings);
    expect(code).toBe(0);
    expect(stdout.match(/rolled back/g)).toHaveLength(VERSIONS.length);
    expect(await backups(sql)).toEqual([]);
    expect((await schemaOf(sql)).filter((line) => /^(relation|function)/.test(line))).toEqual([]);
    const empty = await calendlySync(['rollback', '--yes', '--json'], settings);
    expect(JSON.parse(empty.stdout)).toEqual({
      command: 'rollback',
      database: expect.stringMatching(/^127\.0\.0\.1:\d+\/\w+$/),
      ok: true,
      rolled_back: [],
      backup: null,
    });
  });

  test('a backup is listed and dropped by its name', async () => {
    const { sql, settings } = await filled();
    await calendlySync(['rollback', '--yes'], settings);
    const [name = ''] = await backups(sql);
    const listed = await calendlySync(['rollback', '--list-backups'], settings);
    expect(listed.stdout).toBe(`${name}: 13 rows of 022\n`);
    expect((await calendlySync(['rollback', '--drop-backup', 'nosuch'], settings)).code).toBe(2);
    expect((await calendlySync(['rollback', '--drop-backup', name], settings)).code).toBe(0);
    expect(await backups(sql)).toEqual([]);
  });

  test('a mistyped backup is refused before anything is applied', async () => {
    const { sql, settings } = await filled();
    await calendlySync(['rollback', '--yes'], settings);
    const { code, stderr } = await calendlySync(['migrate', '--restore', 'nosuch'], settings);
    expect(code).toBe(2);
    expect(stderr).toContain('There is no backup nosuch');
    expect(await sql`select to_regclass('calendly_webhook_events') as events`).toEqual([{ events: null }]);
  });

  test('--dry-run shows what would go and the SQL, and does nothing', async () => {
    const { sql, settings } = await filled();
    const before = await schemaOf(sql);
    const { code, stdout, stderr } = await calendlySync(['rollback', '--dry-run'], settings);
    expect(code).toBe(0);
    expect(stderr).toContain('table calendly_webhook_events (12 rows)');
    expect(stdout).toContain("delete from calendly_migrations where version = '022';");
    expect(await schemaOf(sql)).toEqual(before);
  });

  test.each([
    { to: '99', says: 'There is no migration 99.' },
    { to: 'all', says: 'There is no migration all.' },
    { to: '-1', says: 'There is no migration -1.' },
  ])('--to $to is wrong usage', async ({ to, says }) => {
    const { settings } = await filled();
    const { code, stderr } = await calendlySync(['rollback', `--to=${to}`, '--yes'], settings);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});

describe('rollback on a terminal', () => {
  /** Runs it with this answer typed; null closes the terminal. */
  async function answered(settings: Record<string, string>, answer: string | null, words: string[] = []) {
    const written = { stdout: '', stderr: '' };
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const stream = (name: 'stdout' | 'stderr') => ({
      isTTY: true,
      columns: 100,
      write(text: string) {
        written[name] += text;
        if (!text.includes('to go on:')) return;
        if (answer === null) stdin.end();
        else stdin.write(`${answer}\n`);
      },
    });
    const terminal = {
      stdout: stream('stdout'),
      stderr: stream('stderr'),
      stdin,
      environment: { ...settings, NO_COLOR: '1' },
      cwd: '/',
    };
    const code = await run(['rollback', ...words], terminal, new AbortController().signal);
    return { code, ...written };
  }

  test("asks for the table's name, and takes nothing else for an answer", async () => {
    const { sql, settings } = await filled();
    for (const answer of ['yes', '', 'calendly_webhook_event', null]) {
      const { code, stderr } = await answered(settings, answer);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /This rolls back 1 migration of 127\.0\.0\.1:\d+\/test_\w+\. Type the table's name, calendly_webhook_events, to go on: /,
      );
      expect(stderr).toContain('nothing was rolled back');
      expect(await eventCount(sql)).toBe(12);
    }
    const { code, stdout } = await answered(settings, 'calendly_webhook_events');
    expect(code).toBe(0);
    expect(stdout).toContain('✅ 022 calendly_sync_optimization: rolled back');
    expect(await sql`select to_regclass('calendly_webhook_events') as left`).toEqual([{ left: null }]);
  });

  test('asks nothing with --yes, and does not ask under --json', async () => {
    const { settings } = await filled();
    expect((await answered(settings, null, ['--json'])).code).toBe(2);
    expect((await answered(settings, null, ['--yes'])).code).toBe(0);
  });
});
