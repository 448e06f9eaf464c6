/**
 * A `meetings` that the host application created, with its own column types: what the sync wrote is recognized again.
 */
import { describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { testDatabase } from '../support/database.js';
import { hostRows, ID_TYPES, makeHost } from '../support/hosts.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

async function host(prepare: (sql: Awaited<ReturnType<typeof testDatabase>>['sql']) => Promise<unknown>) {
  const { url, sql } = await testDatabase('empty');
  await prepare(sql);
  const sandbox = await testSandbox({ events: 40 });
  await sql`insert into users (email) values (${sandbox.hosts[0]?.email ?? ''})`;
  const database = openServer(url);
  await migrate(database);
  await database.close();
  return { sql, sync: syncing(sandbox, url) };
}

test.each([
  'location varchar(2000)',
  'location json',
  'raw text',
  'invitees_total numeric',
  'invitees_active bigint',
  'start_time timestamp(3)',
  'end_time timestamp',
  'calendly_updated_at timestamp',
  'title varchar(500)',
  `status varchar(50) not null default 'scheduled'`,
  'is_deleted boolean',
  `meeting_source varchar(50) not null default 'google'`,
])('a second sync changes nothing if the host column is %s', async (column) => {
  const { sql, sync } = await host((tx) =>
    tx.unsafe(`
      do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Asia/Kolkata'); end $$;
      create table users (id serial primary key, email varchar(255));
      create table meetings (id serial primary key, user_id integer not null references users, ${column})`),
  );
  const first = await sync();
  expect(first.user).toMatchObject({ status: 'complete', updated: 0 });
  const second = await sync();
  expect(second.user).toMatchObject({ status: 'complete', new: 0, updated: 0, deleted: 0 });
  expect(second.user.unchanged).toBeGreaterThan(0);
  const [row] =
    await sql`select min(start_time)::timestamp as earliest, count(*)::integer as n from meetings`;
  expect(row?.n).toBe(first.user.new + first.user.recorded_canceled);
});

describe.each(ID_TYPES)('with keys of type %s', (idType) => {
  test(`a sync leaves the rows of other sources as they are (keys of type ${idType})`, async () => {
    const { sql, sync } = await host((tx) => makeHost(tx, idType));
    const columns = 'id, user_id, title, meeting_source, external_id, start_time, notes, touched, updated_at';
    const others = async () =>
      (await hostRows(sql, 'public', columns)).filter((row) => /"(google|outlook)-\d+"/.test(row));
    const before = await others();
    const { user } = await sync();
    expect(user).toMatchObject({ status: 'complete' });
    expect(user.new).toBeGreaterThan(0);
    expect(await others()).toEqual(before);
    expect(before).toHaveLength(80);
    expect((await sync()).user).toMatchObject({ new: 0, updated: 0, deleted: 0 });
  });
});
