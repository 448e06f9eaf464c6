import type postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { HOST_KINDS } from '../support/host-kinds.js';
import { createApiRoles, createOrigin, hostRows, ID_TYPES, makeHost } from '../support/hosts.js';
import { schemaOf } from '../support/schema.js';
import { fileText, runAll, runFile, VERSIONS, type Version } from './files.js';

const EVENT = '7f1b4a4e-0000-4000-8000-00000000000';

describe.each(ID_TYPES)('a host whose keys are %s', (idType) => {
  test(`gets columns that may be null and nothing else, and is as before after all down files (${idType})`, async () => {
    const { sql } = await testDatabase('empty');
    await makeHost(sql, idType);
    const before = await schemaOf(sql);
    const rows = await hostRows(sql);
    await runAll(sql, 'up');
    const once = await schemaOf(sql);
    await runAll(sql, 'up');
    expect(await schemaOf(sql)).toEqual(once);

    const ofHost = once.filter((line) =>
      /^(column|constraint|index|trigger) .*\b(users|meetings)\b/.test(line),
    );
    const added = ofHost.filter(
      (line) =>
        !before.includes(line) &&
        !/\b(calendly_\w+|meeting_invitees)\b/.test(line.split(' | ').slice(0, 3).join()),
    );
    const [columns, others] = [
      added.filter((line) => line.startsWith('column')),
      added.filter((line) => !line.startsWith('column')),
    ];
    expect(others).toEqual([]);
    expect(columns.filter((line) => line.split(' | ')[6] === 't')).toEqual([]);
    const types = await sql`
      select distinct format_type(atttypid, atttypmod) as type from pg_attribute
      where attname in ('user_id', 'meeting_id') and attrelid in (select oid from pg_class where relkind = 'r' and relname ~ '^(calendly_|meeting)')`;
    expect(types).toEqual([{ type: idType }]);
    expect(await hostRows(sql)).toEqual(rows);

    await runAll(sql, 'down');
    expect(await schemaOf(sql)).toEqual(before);
    expect(await hostRows(sql)).toEqual(rows);
  });
});

test('an empty database gets tables of our own that are closed to the roles of an API, and is empty again afterwards', async () => {
  const { sql } = await testDatabase('empty');
  await createApiRoles(sql);
  const before = await schemaOf(sql);
  await runAll(sql, 'up');
  const open = await sql`
    select relname, role from pg_class cross join unnest(array['anon', 'authenticated']) as role
    where relnamespace = 'public'::regnamespace and (
      (relkind in ('r', 'v') and (has_table_privilege(role, oid, 'select, insert, update, delete, truncate, references, trigger')
        or (relkind = 'r' and not relrowsecurity)))
      or (relkind = 'S' and has_sequence_privilege(role, oid, 'usage, select, update')))`;
  expect(open).toEqual([]);
  const callable = await sql`
    select proname from pg_proc where pronamespace = 'public'::regnamespace
      and (has_function_privilege('anon', oid, 'execute') or proconfig is null)`;
  expect(callable).toEqual([]);
  await sql`insert into users (email) values ('ada@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) values (1, 'https://api.calendly.com/users/A')`;
  await runAll(sql, 'down');
  expect(await schemaOf(sql)).toEqual(before);
});

test('a schema of its own holds everything, and the tables of the same names in public stay as they are', async () => {
  const { sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  const before = await schemaOf(sql);
  await sql`create schema "Own"`;
  const own = await sql.reserve();
  await own`set search_path = "Own"`;
  for (const version of VERSIONS) await own.unsafe(fileText(version, 'up'));
  const tables = await sql<{ relname: string }[]>`
    select relname from pg_class where relnamespace = '"Own"'::regnamespace and relkind = 'r' order by 1`;
  expect(tables.map(({ relname }) => relname)).toEqual(
    expect.arrayContaining(['calendly_events', 'meetings', 'users']),
  );
  for (const version of [...VERSIONS].reverse()) await own.unsafe(fileText(version, 'down'));
  await own`reset search_path`;
  own.release();
  await sql`drop schema "Own"`;
  expect(await schemaOf(sql)).toEqual(before);
});

test('a table of ours that somebody else created is refused, and stays as it is', async () => {
  const { sql } = await testDatabase('empty');
  await createApiRoles(sql);
  await createOrigin(sql, { strict: true });
  await sql`create table meeting_invitees (id integer)`;
  const before = await schemaOf(sql);
  await expect(runFile(sql, '001', 'up')).rejects.toMatchObject({
    message: 'There is a table meeting_invitees that calendly-sync did not create.',
    hint: expect.stringContaining('--own-tables'),
  });
  expect(await schemaOf(sql)).toEqual(before);
});

test('all files are ASCII, and those of the guide have together at most 670 lines', () => {
  const texts = (versions: readonly Version[]) =>
    versions.flatMap((version) => [fileText(version, 'up'), fileText(version, 'down')]);
  expect(texts(VERSIONS).filter((text) => /[^\n\x20-\x7e]/.test(text))).toEqual([]);
  const ofGuide = texts(['001', '002', '003', '004', '022']);
  expect(ofGuide.join('').split('\n').length).toBeLessThanOrEqual(671);
});

describe('a host with a rule of its own', async () => {
  const { sql } = await testDatabase('empty');

  test.each(HOST_KINDS)(
    '$rule: it takes all files and gives them back, and accepts our rows: $accepts',
    async (kind) => {
      const undo = new Error('undo');
      const tried = sql.begin(async (tx) => {
        await tx.unsafe(`
        create table users (id integer primary key, email text);
        create table meetings (id serial primary key, user_id integer, title text);
        insert into users values (1, 'ada@example.com');`);
        await tx.unsafe(kind.sql);
        const before = await schemaOf(tx);
        await runAll(tx, 'up');
        expect(await tx.savepoint(acceptsRows).catch(() => false)).toBe(kind.accepts);
        await runAll(tx, 'down');
        expect(await schemaOf(tx)).toEqual(before);
        throw undo;
      });
      await expect(tried).rejects.toBe(undo);
    },
  );
});

/** Inserts a complete row, and one with only what Calendly always gives. */
async function acceptsRows(sql: postgres.TransactionSql): Promise<boolean> {
  const place = { type: 'physical', location: 'Room 1' };
  const rows = [
    {
      id: `${EVENT}1`,
      title: 'Introduction',
      start: '2026-01-01T10:00:00Z',
      location: place,
      raw: { location: place },
    },
    { id: `${EVENT}2`, title: null, start: '2026-01-02T10:00:00Z', location: null, raw: {} },
  ];
  const inserted = await sql`
    insert into meetings (user_id, meeting_source, external_id, calendly_uri, title, status, start_time, end_time, is_deleted, location, join_url, raw)
    select 1, 'calendly', x.id, 'https://api.calendly.com/scheduled_events/' || x.id, x.title, 'active', x.start,
      x.start + interval '1 hour', false, x.location, null, x.raw
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as x(id text, title text, start timestamptz, location jsonb, raw jsonb)
    returning 1`;
  return inserted.length === rows.length;
}
