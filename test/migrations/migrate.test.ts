import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { requireSchema } from '../../src/database/schema.js';
import { ownFolder, readMigrations } from '../../src/migrations/files.js';
import { migrate } from '../../src/migrations/migrate.js';
import { rollback } from '../../src/migrations/rollback.js';
import { migrationStatus } from '../../src/migrations/status.js';
import { VERSIONS } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { migrationOf, withChanged } from '../support/migrations.js';
import { temporaryFolder } from '../support/program.js';
import { schemaOf } from '../support/schema.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

async function empty() {
  const { url, sql } = await testDatabase('empty');
  const database = openServer(url);
  open.push(database);
  return { url, sql, database };
}

/** Runs the files as a SQL editor does: each as one request, in the order of their names. */
async function runByHand(sql: postgres.Sql, direction: 'up' | 'down'): Promise<void> {
  const names = readdirSync(ownFolder).filter((name) => name.endsWith(`.${direction}.sql`));
  for (const name of direction === 'up' ? names : names.reverse())
    await sql.unsafe(readFileSync(join(ownFolder, name), 'utf8'));
}

describe('an empty database', () => {
  test('gets every migration, once', async () => {
    const { database, sql } = await empty();
    const first = await migrate(database);
    expect(first.applied.map(({ version }) => version)).toEqual(
      readMigrations().map(({ version }) => version),
    );
    expect(first.applied.at(-1)).toMatchObject({
      version: '022',
      name: 'calendly_sync_optimization',
      found: false,
    });
    expect(first).toMatchObject({ already: [], pending: [] });
    const second = await migrate(database);
    expect(second.applied).toEqual([]);
    expect(second.already).toHaveLength(first.applied.length);
    const [row] = await sql`select * from calendly_migrations where version = '022'`;
    expect(row).toMatchObject({ name: 'calendly_sync_optimization', applied_by: 'postgres' });
    expect(row?.checksum).toMatch(/^[0-9a-f]{64}$/);
  });

  test('stops at --to, and goes on from there', async () => {
    const { database } = await empty();
    const first = await migrate(database, { to: '2' });
    expect(first.applied.map(({ version }) => version)).toEqual(['001', '002']);
    expect(first.pending.map(({ version }) => version)).toEqual(VERSIONS.slice(2));
    await expect(database.transaction(requireSchema)).rejects.toMatchObject({ code: 'schema_not_ready' });
    await migrate(database, { to: VERSIONS.at(-2) });
    expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: false });
    await expect(migrate(database, { to: '23' })).rejects.toMatchObject({ code: 'usage' });
    expect((await migrate(database)).applied.map(({ version }) => version)).toEqual(['022']);
  });

  test('is left as it was by rollback --to 0, and a plain rollback takes 022 only', async () => {
    const { database, sql } = await empty();
    const before = await schemaOf(sql);
    await migrate(database);
    expect(await rollback(database, { backup: null })).toEqual({
      rolled_back: [{ version: '022', name: 'calendly_sync_optimization' }],
      backup: null,
    });
    expect(await database.transaction(requireSchema)).toEqual({ hasSyncState: false });
    expect((await rollback(database, { to: '0', backup: null })).rolled_back).toHaveLength(
      VERSIONS.length - 1,
    );
    expect(await schemaOf(sql)).toEqual(before);
    expect(await rollback(database, { backup: null })).toEqual({ rolled_back: [], backup: null });
  });
});

describe('files run by hand', () => {
  test('twice do no harm; migrate finds them, records them and says so', async () => {
    const { database, sql } = await empty();
    await runByHand(sql, 'up');
    const once = await schemaOf(sql);
    await runByHand(sql, 'up');
    expect(await schemaOf(sql)).toEqual(once);
    const { applied, pending } = await migrate(database);
    expect(pending).toEqual([]);
    expect(applied.filter(({ found }) => !found)).toEqual([]);
    expect((await migrationStatus(database)).drift).toEqual([]);
  });

  test('down leave the database as it was', async () => {
    const { sql } = await empty();
    await makeHost(sql, 'uuid');
    const before = await schemaOf(sql);
    await runByHand(sql, 'up');
    await runByHand(sql, 'down');
    await runByHand(sql, 'down');
    expect(await schemaOf(sql)).toEqual(before);
  });

  test('complete what a half of them has left', async () => {
    const { database, sql } = await empty();
    await runByHand(sql, 'up');
    await sql.unsafe(
      'drop view calendly_sync_health; alter table users drop column calendly_webhook_enabled',
    );
    const { applied } = await migrate(database);
    expect(applied.at(-1)).toMatchObject({ version: '022', found: false });
    expect((await migrationStatus(database)).drift).toEqual([]);
  });
});

describe('history and files', () => {
  test('that differ in line endings and a byte order mark are the same', async () => {
    const { database } = await empty();
    await migrate(database);
    const folder = temporaryFolder();
    cpSync(ownFolder, folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      writeFileSync(path, `\ufeff${readFileSync(path, 'utf8').replaceAll('\n', '\r\n')}`);
    }
    const migrations = readMigrations(folder);
    expect(await migrate(database, { migrations })).toMatchObject({ applied: [], pending: [] });
    await rollback(database, { to: '0', migrations, backup: null });
    expect((await migrate(database, { migrations })).applied).toHaveLength(VERSIONS.length);
    expect(await migrate(database)).toMatchObject({ applied: [] });
  });

  test('an edited file is refused, with both hashes and the ways out', async () => {
    const { database, sql } = await empty();
    await migrate(database, { to: '4' });
    const migrations = withChanged('002', (text) => `${text}\nselect 1;\n`);
    const [was, is] = [readMigrations(), migrations].map(
      (list) => list.find(({ version }) => version === '002')?.checksum ?? '',
    );
    const error = await migrate(database, { migrations }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'migration_drift' });
    const { message, hint } = error as { message: string; hint: string };
    expect(message).toContain(was);
    expect(message).toContain(is);
    expect(hint).toContain('calendly-sync rollback --to 1');
    expect((await migrationStatus(database, { migrations })).files).toMatchObject([
      { kind: 'edited', version: '002' },
    ]);
    expect((await migrationStatus(database)).pending).toHaveLength(VERSIONS.length - 4);

    // The way out that it names, as it stands there.
    const [update] = /update calendly_migrations .*;/.exec(hint) ?? [];
    await sql.unsafe(update ?? '');
    expect((await migrate(database, { migrations })).applied.map(({ version }) => version)).toEqual(
      VERSIONS.slice(4),
    );
  });

  test('a missing file and one that comes too late are refused', async () => {
    const { database } = await empty();
    const without = readMigrations().filter(({ version }) => version !== '004');
    await migrate(database, { migrations: without });
    await expect(migrate(database)).rejects.toMatchObject({
      code: 'migration_drift',
      message: expect.stringMatching(
        /^004_calendly_webhook_rejections \([0-9a-f]{64}\) is not applied, but 022, which comes after it, is\.$/,
      ),
      hint: expect.stringContaining('calendly-sync rollback --to 3'),
    });
    const fewer = without.filter(({ version }) => version !== '022');
    await expect(migrate(database, { migrations: fewer })).rejects.toMatchObject({
      code: 'migration_drift',
      message: expect.stringContaining('022_calendly_sync_optimization is applied'),
    });
    expect((await migrationStatus(database)).files).toMatchObject([{ kind: 'out_of_order', version: '004' }]);
    await rollback(database, { to: '3', backup: null });
    expect((await migrate(database)).pending).toEqual([]);
  });

  test('two files with one number, and a down file alone, are refused', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '001_one.up.sql'), 'select 1');
    writeFileSync(join(folder, '1_other.up.sql'), 'select 1');
    expect(() => readMigrations(folder)).toThrow('Two migrations have the number 1: one and other.');
    const other = temporaryFolder();
    writeFileSync(join(other, '001_one.down.sql'), 'select 1');
    expect(() => readMigrations(other)).toThrow('001_one.down.sql has no up file beside it.');
    expect(() => readMigrations(join(other, 'nowhere'))).toThrow('cannot be read');
  });
});

describe('a file that fails', () => {
  test.each([
    {
      name: 'a name that does not exist',
      text: 'create table made (id integer);\n\ninsert into made (id, nope)\nvalues (1, 2);\n',
      place: '030_made_up.up.sql:3:23: column "nope" of relation "made" does not exist (SQLSTATE 42703)',
    },
    {
      name: 'a syntax error',
      text: '-- f\u00f6rst \u{1f600}\nselect 1;\n  creat table x ();\n',
      place: '030_made_up.up.sql:3:3: syntax error at or near "creat" (SQLSTATE 42601)',
    },
    {
      name: 'an error that has no position',
      text: 'create table made (id integer);\nalter table made add column id integer;\nselect 1;\n',
      place: '030_made_up.up.sql: column "id" of relation "made" already exists (SQLSTATE 42701)',
    },
    {
      name: 'an error inside a block',
      text: "do $$\nbegin\n  perform 1;\n  raise exception 'no way' using errcode = 'P0042', hint = 'Another way.';\nend\n$$;\n",
      place:
        '030_made_up.up.sql: no way (SQLSTATE P0042)\nPL/pgSQL function inline_code_block line 4 at RAISE',
    },
    {
      name: 'a statement of several lines inside a block',
      text: "do $$\nbegin\n  execute 'create table\n    made (id integer, id integer)';\nend\n$$;\n",
      place:
        '030_made_up.up.sql: column "id" specified more than once (SQLSTATE 42701)\nPL/pgSQL function inline_code_block line 3 at EXECUTE',
    },
  ])('names file, line and column as far as Postgres says them: $name', async ({ text, place }) => {
    const { database, sql } = await empty();
    const error = await migrate(database, {
      migrations: [migrationOf('029', 'select 1;'), migrationOf('030', text)],
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'migration_failed', message: place });
    if (text.includes('hint')) expect(error).toMatchObject({ hint: 'Another way.' });
    // The file before it stays applied and the error says so; of this one nothing is left.
    expect(error).toMatchObject({ result: { applied: [{ version: '029' }], pending: [{ version: '030' }] } });
    expect(await sql`select version from calendly_migrations`).toEqual([{ version: '029' }]);
    expect(await sql`select to_regclass('made') as made`).toEqual([{ made: null }]);
  });

  test('says who depends on what, when a rollback would have to drop it', async () => {
    const { database, sql } = await empty();
    await migrate(database);
    await sql.unsafe('create view theirs as select last_calendly_sync from users');
    await expect(rollback(database, { backup: null })).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('view theirs depends on column last_calendly_sync of table users'),
      hint: 'Drop or change what depends on it first. The file was rolled back.',
    });
    expect((await migrationStatus(database)).applied).toHaveLength(VERSIONS.length);
  });

  test('shows no value of a row', async () => {
    const { database } = await empty();
    const text = `create table made (id integer primary key);\ninsert into made values (4242);\ninsert into made values (4242);`;
    const error = (await migrate(database, { migrations: [migrationOf('030', text)] }).catch(
      (thrown: unknown) => thrown,
    )) as Error;
    expect(error.message).toContain('030_made_up.up.sql: duplicate key value');
    expect(error.message).not.toContain('Key (id)=(4242)');
  });
});
