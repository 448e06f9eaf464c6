import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { VERSIONS } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { calendlySync, programWith } from '../support/program.js';
import { schemaOf } from '../support/schema.js';

const clients: postgres.Sql[] = [];
afterAll(() => Promise.all(clients.map((client) => client.end({ timeout: 1 }))));

async function host() {
  const made = await testDatabase('empty');
  await makeHost(made.sql, 'integer');
  return { ...made, settings: { DATABASE_URL: made.url } };
}

describe('migrate --json', () => {
  test('is one document: what was applied, what was there, what is left', async () => {
    const { url } = await testDatabase('empty');
    const settings = { DATABASE_URL: url };
    const first = await calendlySync(['migrate', '--json', '--to', '2'], settings);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(first.stdout)).toMatchObject({
      command: 'migrate',
      database: expect.stringMatching(/^127\.0\.0\.1:\d+\/\w+$/),
      ok: true,
      applied: [
        { version: '001', name: 'calendly_core', ms: expect.any(Number), found: false },
        { version: '002', name: 'calendly_accounts', ms: expect.any(Number), found: false },
      ],
      already: [],
      pending: VERSIONS.slice(2).map((version) => ({ version, name: expect.any(String) })),
    });
    const second = JSON.parse((await calendlySync(['migrate', '--json'], settings)).stdout);
    expect(second.applied.map(({ version }: { version: string }) => version)).toEqual(VERSIONS.slice(2));
    expect(second.already).toEqual([
      { version: '001', name: 'calendly_core' },
      { version: '002', name: 'calendly_accounts' },
    ]);
    const third = await calendlySync(['migrate'], settings);
    expect(third).toMatchObject({
      code: 0,
      stdout: `Nothing to do: ${VERSIONS.length} migrations are applied.\n`,
      stderr: '',
    });
  });

  test('holds an error with its place, and what was applied before it, when a file fails', async () => {
    const { url } = await testDatabase('empty');
    const program = programWith({ '030_broken.up.sql': 'create table x (id integer);\nselect nope;\n' });
    const { code, stdout } = await program(['migrate', '--json'], { DATABASE_URL: url });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: {
        code: 'migration_failed',
        message: '030_broken.up.sql:2:8: column "nope" does not exist (SQLSTATE 42703)',
      },
      applied: VERSIONS.map((version) => ({ version })),
      pending: [{ version: '030' }],
    });
  });
});

describe('migrate --status', () => {
  test('says what is pending with exit code 4, and 0 when all is well', async () => {
    const { url, sql } = await testDatabase('empty');
    const settings = { DATABASE_URL: url };
    const none = await calendlySync(['migrate', '--status', '--json'], settings);
    expect(none.code).toBe(4);
    expect(JSON.parse(none.stdout)).toMatchObject({ ok: false, applied: [], drift: [], files: [] });
    await calendlySync(['migrate'], settings);
    const all = await calendlySync(['migrate', '--status'], settings);
    expect(all.code).toBe(0);
    expect(all.stdout.split('\n').filter((line) => line.includes('\tapplied\t'))).toHaveLength(
      VERSIONS.length,
    );
    await sql`alter table calendly_accounts disable row level security`;
    const drifted = await calendlySync(['migrate', '--status'], settings);
    expect(drifted.code).toBe(4);
    expect(drifted.stdout).toContain('✖ 002: table calendly_accounts row-level security is off');
    expect(drifted.stderr).toContain('To fix this: calendly-sync migrate');
    expect(drifted.stderr).not.toContain('node_modules');
    const repaired = await calendlySync(['migrate'], settings);
    expect(repaired).toMatchObject({ code: 0, stdout: '✅ 002 calendly_accounts: repaired\n' });
    expect((await calendlySync(['migrate', '--status'], settings)).code).toBe(0);
  });
});

describe('migrate --dry-run', () => {
  test('prints a script that runs, and changes nothing', async () => {
    const { url, sql, settings } = await host();
    const before = await schemaOf(sql);
    const { code, stdout } = await calendlySync(['migrate', '--dry-run'], settings);
    expect(code).toBe(0);
    expect(await schemaOf(sql)).toEqual(before);
    const client = postgres(url, { max: 1, onnotice: () => {} });
    await client.unsafe(stdout);
    await client.end();
    expect((await calendlySync(['migrate'], settings)).stdout).toBe(
      `Nothing to do: ${VERSIONS.length} migrations are applied.\n`,
    );
  });

  test('says what would fail', async () => {
    const { sql, settings } = await host();
    await sql`alter table users rename id to user_key`;
    const { code, stderr } = await calendlySync(['migrate', '--dry-run'], settings);
    expect(code).toBe(1);
    expect(stderr).toContain('users has no column id');
  });
});

describe('migrate --sql', () => {
  test('is one paste for a SQL editor that ends with what is applied, may run twice, and is recorded', async () => {
    const { sql, settings } = await host();
    const { code, stdout } = await calendlySync(['migrate', '--sql'], {});
    expect(code).toBe(0);
    for (let round = 0; round < 2; round++) {
      const results = (await sql.unsafe(stdout)) as unknown as { migration: string }[][];
      expect(results.at(-1)?.map(({ migration }) => migration)).toEqual(
        VERSIONS.map((version) => expect.stringMatching(`^ok: ${version} `)),
      );
    }
    expect((await calendlySync(['migrate', '--status'], settings)).code).toBe(0);
    const migrated = await calendlySync(['migrate'], settings);
    expect(migrated.stdout).toBe(`Nothing to do: ${VERSIONS.length} migrations are applied.\n`);
  });

  test('leaves nothing behind when one of its statements fails', async () => {
    const { sql } = await host();
    const { stdout } = await calendlySync(['migrate', '--sql'], {});
    await sql`alter table users rename id to user_key`;
    const before = await schemaOf(sql);
    await expect(sql.unsafe(stdout)).rejects.toThrow();
    expect(await schemaOf(sql)).toEqual(before);
  });
});

describe('migrate on an application’s tables', () => {
  test('warns of a meetings that everybody can read, of publications and of an ORM', async () => {
    const { sql, settings } = await host();
    await sql.unsafe(`
      grant select on meetings to public;
      create publication theirs for table meetings;
      create table _prisma_migrations (id integer)`);
    const { code, stderr } = await calendlySync(['migrate'], settings);
    expect(code).toBe(0);
    expect(stderr).toContain('PUBLIC can read meetings: names, e-mails and join links of every guest.');
    expect(stderr).toContain('Publication theirs copies users or meetings');
    expect(stderr).toContain('prisma migrate dev offers to reset');
  });

  test('refuses one that does not accept our rows; --own-tables is the way out, and rollback ends it', async () => {
    const { sql, settings } = await host();
    await sql.unsafe('alter table meetings alter id drop identity');
    const before = await schemaOf(sql);
    const refused = await calendlySync(['migrate'], settings);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('null value in column "id"');
    expect(refused.stderr).toContain('calendly-sync migrate --own-tables');
    const own = await calendlySync(['migrate', '--own-tables'], settings);
    expect(own.code).toBe(0);
    expect(own.stdout).toContain(
      "table meetings: created in schema calendly; the application's tables are left alone",
    );
    expect(own.stderr).toContain(
      'All other commands need --schema calendly, or CALENDLY_SYNC_SCHEMA=calendly',
    );
    const gone = await calendlySync(
      ['rollback', '--to', '0', '--yes', '--no-backup', '--schema', 'calendly'],
      settings,
    );
    expect(gone.code).toBe(0);
    expect(await schemaOf(sql)).toEqual(before);
  });

  test('hints carry the flags of the run, and never the URL', async () => {
    const { url, sql } = await host();
    await sql.unsafe('alter table meetings alter id drop identity');
    const { stderr } = await calendlySync(['migrate', '--schema', 'our', '--database-url', url]);
    expect(stderr).toContain(
      'calendly-sync --database-url "$DATABASE_URL" --schema our migrate --own-tables',
    );
  });
});

describe('--schema', () => {
  test('and CALENDLY_SYNC_SCHEMA keep our tables apart, for every command', async () => {
    const { sql, settings } = await host();
    const before = await schemaOf(sql);
    expect((await calendlySync(['migrate', '--schema', 'calendly'], settings)).code).toBe(0);
    expect(
      (await calendlySync(['migrate', '--status'], { ...settings, CALENDLY_SYNC_SCHEMA: 'calendly' })).code,
    ).toBe(0);
    const without = await calendlySync(['migrate', '--status'], settings);
    expect(without.code).toBe(4);
    const gone = await calendlySync(
      ['rollback', '--to', '0', '--yes', '--no-backup', '--schema', 'calendly'],
      settings,
    );
    expect(gone.code).toBe(0);
    expect(await schemaOf(sql)).toEqual(before);
  });

  test('that cannot be is refused', async () => {
    const { settings } = await host();
    const { code, stderr } = await calendlySync(['migrate', '--schema', 'pg_mine'], settings);
    expect(code).toBe(2);
    expect(stderr).toContain('--schema: "pg_mine" is not a valid schema name');
  });
});

test.each([
  { words: ['migrate', '--to', 'x'], says: 'There is no migration x.' },
  { words: ['migrate', '--status', '--dry-run'], says: '--status and --dry-run cannot be combined.' },
  { words: ['migrate', '--lock-timeout', 'soon'], says: '--lock-timeout: "soon" is not a valid duration.' },
  { words: ['migrate', '--restore', 'nowhere'], says: 'There is no backup nowhere in' },
])('$words is wrong usage', async ({ words, says }) => {
  const { url } = await testDatabase();
  const { code, stderr } = await calendlySync(words, { DATABASE_URL: url });
  expect(stderr).toContain(says);
  expect(code).toBe(2);
});

test('an edited file is refused by the program too, other line endings are not', async () => {
  const { settings } = await host();
  await calendlySync(['migrate', '--to', '4'], settings);
  const program = programWith({});
  for (const name of readdirSync(program.sql)) {
    const path = join(program.sql, name);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('\n', '\r\n'));
  }
  expect((await program(['migrate', '--to', '4'], settings)).code).toBe(0);
  writeFileSync(join(program.sql, '004_calendly_webhook_rejections.up.sql'), 'select 1;\n');
  const { code, stderr } = await program(['migrate'], settings);
  expect(code).toBe(1);
  expect(stderr).toMatch(/was changed after it was applied: it was [0-9a-f]{64}, it is [0-9a-f]{64}\./);
});
