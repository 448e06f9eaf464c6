import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { embeddedFolder, openEmbedded } from '../../../src/database/embedded/embedded.js';
import { readTemplate, writeTemplate } from '../../../src/database/embedded/template.js';
import { temporaryFolder } from '../../support/program.js';

const embeddedModule = pathToFileURL(
  join(import.meta.dirname, '../../../dist/src/database/embedded/embedded.js'),
).href;

/** Created once, because that takes seconds; each test closes it. */
const home = join(temporaryFolder(), 'home');

describe('creating the embedded database', () => {
  const template = join(temporaryFolder(), 'empty.tar.gz');
  beforeAll(() => writeTemplate(template));

  test('a new embedded database is announced, prepared, and moved into place when it is complete', async () => {
    mkdirSync(join(home, 'database.new-1'), { recursive: true });
    writeFileSync(join(home, 'database.new-1', 'half-made'), '');
    const said: string[] = [];
    const database = await openEmbedded(home, {
      template,
      onProgress: (text) => said.push(text),
      prepare: async (fresh) => {
        said.push('prepared');
        expect(readdirSync(home)).not.toContain('database');
        await fresh.transaction((sql) => sql`create table prepared (id integer primary key, filling text)`);
      },
    });
    try {
      expect(database).toMatchObject({ kind: 'embedded', label: embeddedFolder(home) });
      expect(said).toEqual([expect.stringContaining(embeddedFolder(home)), 'prepared']);
      expect(await database.transaction((sql) => sql`select * from prepared`)).toEqual([]);
    } finally {
      await database.close();
    }
    expect(readdirSync(home).sort()).toEqual(['.gitignore', 'database', 'database.lock']);
    expect(statSync(embeddedFolder(home)).mode & 0o777).toBe(0o700);
  });

  test('a damaged archive of an empty database is replaced by initializing one', async () => {
    const other = temporaryFolder();
    writeFileSync(join(other, 'torn.tar.gz'), readFileSync(template).subarray(0, 100_000));
    expect(readTemplate(join(other, 'torn.tar.gz'))).toBe(null);
    expect(readTemplate(join(other, 'absent.tar.gz'))).toBe(null);
    writeFileSync(join(other, 'other.tar.gz'), gzipSync('not an archive at all'));
    const database = await openEmbedded(other, { template: join(other, 'other.tar.gz') });
    expect(await database.transaction((sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await database.close();
  });

  test('a failed creation leaves nothing that could be mistaken for a database', async () => {
    const other = temporaryFolder();
    await expect(
      openEmbedded(other, { template, prepare: () => Promise.reject(new Error('no tables today')) }),
    ).rejects.toThrow('no tables today');
    expect(readdirSync(other).sort()).toEqual(['.gitignore', 'database.lock']);
    expect(readdirSync(join(other, 'database.lock'))).toEqual([]);
  });
});

describe('the embedded database', () => {
  test('a reopened database contains what was committed, and announces nothing', async () => {
    const database = await openEmbedded(home, { onProgress: () => expect.fail('nothing is to be created') });
    await database.transaction((sql) => sql`insert into prepared (id) values (1)`);
    const failing = database.transaction(async (sql) => {
      await sql`insert into prepared (id) values (2)`;
      await sql`insert into prepared (id) values (1)`;
    });
    await expect(failing).rejects.toMatchObject({ code: 'database_failed' });
    await database.close();
    const again = await openEmbedded(home);
    expect(await again.transaction((sql) => sql`select id from prepared`)).toEqual([{ id: 1 }]);
    await again.transaction((sql) => sql`delete from prepared`);
    await again.close();
  });

  test('concurrent transactions on the embedded database wait for each other', async () => {
    const database = await openEmbedded(home);
    const counts = await Promise.all(
      Array.from({ length: 20 }, (_, id) =>
        database.transaction(async (sql) => {
          await sql`insert into prepared (id, filling) values (${id}, ${'x'.repeat(100_000)})`;
          const [row] = await sql<{ count: string }[]>`select count(*) from prepared`;
          return Number(row?.count);
        }),
      ),
    );
    expect(counts).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    await database.transaction((sql) => sql`delete from prepared`);
    await database.close();
  });

  test('a transaction inside a transaction is refused instead of waiting forever', async () => {
    const database = await openEmbedded(home);
    const nested = database.transaction(() => database.transaction((sql) => sql`select 1`));
    await expect(nested).rejects.toThrow('inside another one');
    expect(await database.transaction((sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await database.close();
  });

  test('the embedded database supports all that the tool needs of a server', async () => {
    const database = await openEmbedded(home);
    const rows = await database.transaction(async (sql) => {
      await sql.savepoint((inner) => inner`select nonsense`).catch(() => {});
      await sql.unsafe(`do $$ begin raise notice 'not printed'; end $$; create temp table t (a integer);
        insert into t select generate_series(1, 250)`);
      let count = 0;
      for await (const page of sql`select * from t`.cursor(100)) count += page.length;
      return count;
    });
    expect(rows).toBe(250);
    const writing = database.transaction((sql) => sql`create table t2 (a integer)`, { readOnly: true });
    await expect(writing).rejects.toThrow('25006');
    await database.transaction(async (sql) => {
      const query = sql<{ count: string }[]>`select count(*) from generate_series(1, 300000)`.execute();
      // Sent in the next turn of the event loop; a later cancel request reaches the engine, which cannot process it.
      await new Promise(setImmediate);
      query.cancel();
      expect(await query).toEqual([{ count: '300000' }]);
    });
    expect(await database.transaction((sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await database.close();
  });

  test('a second process is refused with the pid of the first', async () => {
    const database = await openEmbedded(home);
    await expect(openEmbedded(home)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`process ${process.pid} `),
    });
    await database.close();
  });

  test('after kill -9 in the middle of a write everything committed is there, and the lock is free', async () => {
    const script = `
      import { openEmbedded } from ${JSON.stringify(embeddedModule)};
      const database = await openEmbedded(${JSON.stringify(home)});
      for (let id = 100; ; id++) {
        await database.transaction((sql) => sql\`insert into prepared values (\${id}, repeat('x', 5000))\`);
        console.log(id);
      }`;
    const writer = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let committed = 0;
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      committed = Number(text.trim().split('\n').at(-1));
      if (committed >= 150) writer.kill('SIGKILL');
    });
    await new Promise((resolve) => writer.on('close', resolve));
    const database = await openEmbedded(home);
    const [row] = await database.transaction(
      (sql) => sql<{ last: number; count: string }[]>`select max(id) as last, count(*) from prepared`,
    );
    expect(row?.last).toBeGreaterThanOrEqual(committed);
    expect(Number(row?.count)).toBe((row?.last ?? 0) - 99);
    await database.close();
  });
});

describe('a crash of the embedded Postgres', () => {
  test('after a crash every transaction reports the message of Postgres, and nothing hangs', async () => {
    const other = temporaryFolder();
    cpSync(embeddedFolder(home), embeddedFolder(other), { recursive: true });
    const database = await openEmbedded(other);
    // Without its write-ahead log Postgres may not go on, so it panics.
    rmSync(join(embeddedFolder(other), 'pg_wal'), { recursive: true });
    const flood = database.transaction(async (sql) => {
      await sql`select pg_switch_wal()`;
      await sql`insert into prepared (id) values (10000)`;
    });
    await expect(flood).rejects.toMatchObject({
      code: 'database_failed',
      message: expect.stringContaining('crashed: PANIC'),
    });
    await expect(database.transaction((sql) => sql`select 1`)).rejects.toThrow('crashed: PANIC');
    await database.close();
    await expect(openEmbedded(other)).rejects.toThrow('does not start');
  });
});

describe('a folder with other contents', () => {
  test('a folder with something other than an embedded database is refused and left alone', async () => {
    const other = temporaryFolder();
    mkdirSync(embeddedFolder(other));
    writeFileSync(join(embeddedFolder(other), 'diary.txt'), 'mine');
    await expect(openEmbedded(other)).rejects.toMatchObject({ code: 'settings' });
    renameSync(join(embeddedFolder(other), 'diary.txt'), join(embeddedFolder(other), 'PG_VERSION'));
    await expect(openEmbedded(other)).rejects.toThrow('was created by Postgres mine');
  });

  test('a home that is a file is reported as an invalid setting', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(openEmbedded(file)).rejects.toThrow(/Cannot write/);
  });
});
