import type postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { PERSONAL } from '../../src/database/tables/personal.js';
import { erase } from '../../src/privacy/erase.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { replayWebhookEvents } from '../../src/webhook/replay.js';
import { runCli, runJson, startCli } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { receiving } from '../support/webhooks.js';

const ADA = 'ada.lovelace@guest.example';
const ADA_TYPED = 'Ada.Lovelace@Guest.example';

/** A synced account in whose meetings a person is an invitee, a guest, and named in an answer. */
async function setUp() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 5 });
  const database = openServer(url);
  onTestFinished(() => database.close());
  const ada = { email: ADA_TYPED, name: 'Ada Lovelace' };
  const { control } = sandbox;
  const booked = control.book({
    invitees: [ada],
    location: { type: 'outbound_call', location: '+49 30 555' },
  });
  const canceled = control.book({ invitees: [ada], start: '+48h' });
  control.cancel({ event: canceled.event.uri, reason: 'Ada is ill' });
  control.book({ invitees: [ada, { email: 'bob@guest.example', name: 'Bob' }], start: '+72h' });
  const answer = { question: 'Who else?', answer: `my colleague ${ADA}, or call`, position: 0 };
  control.book({
    invitees: [{ email: 'carol@guest.example', questions_and_answers: [answer] }],
    guests: [ADA, 'dave@guest.example'],
    start: '+96h',
  });
  const sync = syncing(sandbox, url);
  await sync();
  return { url, sql, sandbox, database, sync, booked };
}

/** Every column of every table in which the text stands. */
async function whereIs(sql: postgres.Sql, text: string): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select oid::regclass::text as name from pg_class
    where relkind = 'r' and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'`;
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe(`select from ${name} t where position($1 in lower(t::text)) > 0`, [text]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

const countsOf = (sql: postgres.Sql) => sql`
  select (select count(*)::integer from meetings) as meetings, (select count(*)::integer from meeting_invitees) as invitees,
    (select sum(invitees_active)::integer from meetings) as active,
    (select count(*)::integer from meeting_invitees where status = 'active') as active_rows`;

test('after `erase` no column holds the address or the name, after any number of syncs', async () => {
  const { sql, database, sandbox, sync, booked } = await setUp();
  const before = await countsOf(sql);
  expect(await whereIs(sql, ADA)).toEqual(expect.arrayContaining(['meetings', 'meeting_invitees']));
  const result = await erase({ database, email: ` ${ADA_TYPED} ` });
  expect(result).toEqual({ meetings: 4, invitees: 3, deliveries: 0, texts: 0, left: [], backups: [] });
  for (const text of [ADA, 'lovelace', 'ada is ill', '+49 30 555'])
    expect(await whereIs(sql, text)).toEqual([]);
  expect(await countsOf(sql)).toEqual(before);
  expect((await sync()).user).toMatchObject({ new: 0, updated: 0, deleted: 0 });
  const full = await sync({ full: true, reread: true });
  expect(full.user).toMatchObject({ new: 0, updated: 0, deleted: 0, status: 'complete' });
  expect(full.user.invitees).toMatchObject({ new: 0, updated: 0 });
  // Something else about the meeting changes, and the person books again.
  sandbox.control.edit({ event: booked.event.uri, set: { name: 'Another name' } });
  sandbox.control.book({
    invitees: [{ email: ADA, name: 'Ada Lovelace' }],
    guests: [ADA_TYPED],
    start: '+120h',
  });
  await sync();
  await sync({ full: true, reread: true });
  for (const text of [ADA, 'lovelace']) expect(await whereIs(sql, text)).toEqual([]);
  expect(await sql`select title from meetings where calendly_uri = ${booked.event.uri}`).toEqual([
    { title: 'Another name' },
  ]);
  expect((await countsOf(sql))[0]?.meetings).toBe(Number(before[0]?.meetings) + 1);
  // Bob, who was in the same meeting, is still known.
  expect(await whereIs(sql, 'bob@guest.example')).toContain('meeting_invitees');
});

test('a second sync after `erase` takes no request and writes no row more than before', async () => {
  const { database, sync, sql } = await setUp();
  const plain = await sync();
  await erase({ database, email: ADA });
  await sync({ full: true, reread: true });
  const rows = () =>
    sql`select xmin::text as version from meetings union all select xmin::text from meeting_invitees order by 1`;
  const before = await rows();
  expect((await sync()).user.requests).toBe(plain.user.requests);
  expect(await rows()).toEqual(before);
});

test('deliveries, replays and copies of old deliveries bring nobody back', async () => {
  const { url, sql, sandbox, database } = await setUp();
  const { post } = receiving(url);
  const bodies = bodiesOf(sandbox);
  const [first, ...rest] = bodies;
  expect((await post(first)).status).toBe(200);
  // One whose host is not connected waits to be replayed.
  await sql`update calendly_webhook_events set processed_at = null`;
  const result = await erase({ database, email: ADA });
  expect(result.deliveries).toBe(1);
  expect(await whereIs(sql, ADA)).toEqual([]);
  for (const body of [...rest, ...bodies]) expect((await post(body)).status).toBe(200);
  await replayWebhookEvents({ database });
  for (const text of [ADA, 'lovelace']) expect(await whereIs(sql, text)).toEqual([]);
  const [events] = await sql`select count(*)::integer as count from calendly_webhook_events`;
  expect(events?.count).toBe(bodies.length);
});

test('a delivery that the database refuses is stored without the person', async () => {
  const { url, sql, sandbox, database } = await setUp();
  await erase({ database, email: ADA });
  await sql`create function refuse() returns trigger language plpgsql as $$ begin raise 'no' using errcode = '23514'; end $$`;
  await sql`create trigger refuse before insert or update on meetings for each row execute function refuse()`;
  const { event } = sandbox.control.book({ invitees: [{ email: ADA, name: 'Ada Lovelace' }] });
  const { post } = receiving(url);
  const body = bodiesOf(sandbox).find((one) => JSON.stringify(one).includes(event.uri));
  expect((await post(body)).status).toBe(200);
  expect(
    await sql`select count(*)::integer as failed from calendly_webhook_events where error is not null`,
  ).toEqual([{ failed: 1 }]);
  for (const text of [ADA, 'lovelace']) expect(await whereIs(sql, text)).toEqual([]);
});

test('a transaction that had read the person before `erase` does not bring them back', async () => {
  const { sql, url, sandbox, database, sync } = await setUp();
  sandbox.control.book({ invitees: [{ email: ADA, name: 'Ada Lovelace' }], start: '+120h' });
  // The sync waits for this row inside of its transaction, after it has asked who was erased.
  const held = await sql.reserve();
  await held`begin`;
  await held`lock table meetings in share mode`;
  const synced = sync();
  await expect.poll(() => waiting(sql)).toBeGreaterThan(0);
  const erasing = erase({ database: openServer(url), email: ADA });
  await expect.poll(() => waiting(sql)).toBeGreaterThan(1);
  await held`commit`;
  held.release();
  await Promise.all([synced, erasing]);
  await sync();
  expect(await whereIs(sql, ADA)).toEqual([]);
  await database.close();
});

test('a dry run counts the same, and writes nothing', async () => {
  const { sql, database } = await setUp();
  const { meetings, invitees } = await erase({ database, email: ADA, dryRun: true });
  expect({ meetings, invitees }).toEqual({ meetings: 4, invitees: 3 });
  expect(await whereIs(sql, ADA)).toEqual(expect.arrayContaining(['meetings', 'meeting_invitees']));
  expect(await sql`select from calendly_erasures`).toHaveLength(0);
});

test('the tombstone is a hash with a secret of the database', async () => {
  const { sql, database } = await setUp();
  await erase({ database, email: ADA });
  await erase({ database, email: ADA });
  const [row, second] =
    await sql`select hash, hash = sha256(convert_to(${ADA}, 'UTF8')) as plain from calendly_erasures`;
  expect(row).toMatchObject({ plain: false });
  expect(second).toBeUndefined();
  expect(row?.hash).toHaveLength(32);
});

test('backups that hold the address, and columns of the application, are named', async () => {
  const { sql, database, url, sandbox } = await setUp();
  await sql`alter table meetings add column client_email text`;
  await sql`update meetings set client_email = ${ADA} where id = 1`;
  await sql`create schema calendly_backup_20260101_000000_000`;
  await sql`create table calendly_backup_20260101_000000_000.t1_meetings as select * from meetings`;
  const result = await erase({ database, email: ADA });
  expect(result).toMatchObject({
    left: [{ table: 'meetings', rows: 1 }],
    backups: ['calendly_backup_20260101_000000_000'],
  });
  const shown = await runCli(['erase', ADA, '--yes'], settingsOf(sandbox, url));
  expect(shown.stderr).toContain('rollback --drop-backup calendly_backup_20260101_000000_000');
});

test('`erase` asks on a terminal, and needs --yes elsewhere', async () => {
  const { sql, url, sandbox } = await setUp();
  const settings = settingsOf(sandbox, url);
  expect(await runCli(['erase', ADA], settings)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--yes'),
  });
  const { ended, shown, type } = startCli(['erase', ADA], { ...settings, TERM: 'dumb' }, { isTTY: true });
  await expect.poll(shown).toContain('Type the address');
  expect(shown()).toContain('3 invitees');
  type('no\n');
  expect((await ended).code).toBe(1);
  expect(await whereIs(sql, ADA)).not.toEqual([]);
  const { document } = await runJson(['erase', ADA, '--yes'], settings);
  expect(document).toMatchObject({ ok: true, dry_run: false, meetings: 4, invitees: 3 });
  expect(await whereIs(sql, ADA)).toEqual([]);
  expect(await runCli(['erase', 'ada', '--yes'], settings)).toMatchObject({ code: 2 });
  const host = sandbox.hosts[0]?.email ?? '';
  expect(await runCli(['erase', host, '--yes'], settings)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--user'),
  });
});

test('every text and JSON column of our tables is declared as personal or not', async () => {
  const { sql } = await testDatabase();
  const columns = await sql<{ table: string; column: string }[]>`
    select relname::text as table, attname::text as column
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
      and atttypid::regtype::text ~ '^(text|json|bytea|character varying)'
    order by 1, 2`;
  const declared = Object.entries(PERSONAL).flatMap(([table, { text, json, other }]) =>
    [...text, ...json, ...other].map((column) => ({ table, column })),
  );
  const sorted = (list: { table: string; column: string }[]) =>
    list.map(({ table, column }) => `${table}.${column}`).sort();
  expect(sorted(declared)).toEqual(sorted([...columns]));
});

async function waiting(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::integer as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  return row?.count ?? 0;
}

/** A delivery of each invitee that mentions the person, as Calendly would send it. */
function bodiesOf({ control, hosts }: Sandbox): object[] {
  return control
    .state()
    .filter(({ event, invitees }) => /ada\.lovelace/i.test(JSON.stringify([event, invitees])))
    .flatMap(({ event, invitees }) =>
      invitees.map((invitee) => ({
        event: event.status === 'canceled' ? 'invitee.canceled' : 'invitee.created',
        created_at: event.updated_at,
        created_by: hosts[0]?.uri,
        payload: { ...invitee, scheduled_event: event },
      })),
    );
}
