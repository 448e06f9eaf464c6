import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { VERSIONS } from '../sql/files.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { calendlySync, programWith, start } from '../support/program.js';
import { schemaOf } from '../support/schema.js';

const clients: postgres.Sql[] = [];
afterAll(() => Promise.all(clients.map((client) => client.end({ timeout: 1 }))));

async function host() {
  const made = await testDatabase('empty');
  await makeHost(made.sql, 'integer');
  return { ...made, settings: { DATABASE_URL: made.url } };
}

/** A connection of the application that holds a lock until it is ended. */
async function hold(url: string, statement: string) {
  const client = postgres(url, { max: 1, connection: { application_name: 'the-app' }, onnotice: () => {} });
  clients.push(client);
  await client.unsafe('begin');
  await client.unsafe(statement);
  return client;
}

/** Waits until the program has said this on stderr. */
async function said(output: () => { stderr: string }, text: string): Promise<void> {
  while (!output().stderr.includes(text)) await pause(20);
}

test('20 at once: each file is applied once, and none fails', async () => {
  const { sql, settings } = await host();
  const all = await Promise.all(
    Array.from({ length: 20 }, () => calendlySync(['migrate', '--json'], settings)),
  );
  expect(all.map(({ code }) => code)).toEqual(Array(20).fill(0));
  const documents = all.map(
    ({ stdout }) => JSON.parse(stdout) as { applied: { version: string }[]; pending: unknown[] },
  );
  expect(documents.flatMap(({ applied }) => applied.map(({ version }) => version)).sort()).toEqual(VERSIONS);
  expect(documents.flatMap(({ pending }) => pending)).toEqual([]);
  expect(await sql`select version from calendly_migrations order by 1`).toHaveLength(VERSIONS.length);
});

describe('kill -9', () => {
  test('in the middle of a file leaves nothing of it, and the next run goes on', async () => {
    const { url, sql, settings } = await host();
    await calendlySync(['migrate', '--to', VERSIONS.at(-2) ?? ''], settings);
    const before = await schemaOf(sql);
    const program = programWith({
      '021_slow.up.sql': 'create table half (id integer);\nselect pg_sleep(60);\n',
    });
    const running = program.start(['migrate'], settings);
    await busy(sql, 'pg_sleep');
    running.child.kill('SIGKILL');
    await running.ended;
    // The server may notice only when it is done; the lock and the half table are gone with the backend.
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()`;
    while (
      (
        await sql`select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
      ).length > 0
    )
      await pause(20);
    expect(await schemaOf(sql)).toEqual(before);
    expect((await calendlySync(['migrate'], settings)).code).toBe(0);
    expect(url).toBeTruthy();
  });
});

test('a lock of the application: reported on stderr, then exit code 75 with nothing changed', async () => {
  const { url, settings } = await host();
  await calendlySync(['migrate', '--to', '4'], settings);
  const reader = await hold(url, 'select * from users');
  const running = start(['migrate', '--max-wait', '2s', '--lock-timeout', '50ms'], settings);
  await said(running.output, 'a table is in use; trying again in');
  const { code, stderr } = await running.ended;
  expect(code).toBe(75);
  expect(stderr).toMatch(
    /process \d+ \(the-app, idle in transaction, [0-9.]+ s\) holds users: select \* from users/,
  );
  await reader.unsafe('commit');
  expect((await calendlySync(['migrate'], settings)).code).toBe(0);
});

test('SIGTERM between two tries ends it cleanly', async () => {
  const { url, settings } = await host();
  await calendlySync(['migrate', '--to', '4'], settings);
  const reader = await hold(url, 'select * from users');
  const running = start(['migrate', '--lock-timeout', '50ms'], settings);
  await said(running.output, 'trying again in');
  running.child.kill('SIGTERM');
  const { code, stderr } = await running.ended;
  expect(code).toBe(143);
  expect(stderr).toContain(
    'Stopped before 022_calendly_sync_optimization.up.sql; nothing of it was changed.',
  );
  await reader.unsafe('commit');
});

/** Waits until a statement that contains this runs on the server. */
async function busy(sql: postgres.Sql, text: string): Promise<void> {
  while (
    (
      await sql`select from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like ${`%${text}%`} and datname = current_database()`
    ).length === 0
  ) {
    await pause(20);
  }
}
