/** `meetings`, `report`, `query` and `grant-read`, as an operator runs them. */
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { createOrigin } from '../support/hosts.js';
import { makeRole } from '../support/roles.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

async function synced() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  return { url, sql, sandbox, sync: syncing(sandbox, url), environment: { DATABASE_URL: url } };
}

test('meetings lists the upcoming ones of a user, a person or a search, and the others when asked', async () => {
  const { sandbox, sync, environment } = await synced();
  const { control } = sandbox;
  const book = (start: string, email: string, name = 'Intro') =>
    control.book({ start, name, invitees: [{ email, name: 'Ada 100%' }] }).event;
  const [past, soon, later, canceled] = [
    book('-2d', 'ada@example.com'),
    book('+1d', 'ada@example.com', 'Demo, with "quotes"'),
    book('+9d', 'bob@example.com'),
    book('+2d', 'bob@example.com'),
  ];
  control.cancel({ event: canceled.uri });
  await sync();
  const found = async (...argv: string[]) => {
    const { document } = await runJson(['meetings', ...argv], environment);
    return document.meetings.map(({ calendly_uri }: { calendly_uri: string }) => calendly_uri);
  };
  expect(await found()).toEqual([soon.uri, later.uri]);
  expect(await found('--next', '7d')).toEqual([soon.uri]);
  expect(await found('--status', 'all', '--next', '7d')).toEqual([soon.uri, canceled.uri]);
  expect(await found('--with', 'ADA@example.com', '--from', '2020-01-01')).toEqual([past.uri, soon.uri]);
  expect(await found('--with', sandbox.hosts[0]?.email ?? '')).toEqual([soon.uri, later.uri]);
  expect(await found('--search', 'demo')).toEqual([soon.uri]);
  expect(await found('--search', '0%')).toEqual([soon.uri, later.uri]);
  expect(await found('--search', 'x%0')).toEqual([]);
  expect(await found('--user', sandbox.hosts[0]?.email ?? '', '--limit', '1')).toEqual([soon.uri]);
  const unknown = await runJson(['meetings', '--user', 'nobody@example.com'], environment);
  expect(unknown).toMatchObject({ code: 2, document: { error: { code: 'user_unknown' } } });

  const csv = await runCli(['meetings', '--csv'], environment);
  expect(csv.stdout.split('\n')[1]).toContain(',"Demo, with ""quotes""",');
  const ics = await runCli(['meetings', '--ics', '--status', 'all'], environment);
  expect(ics.stdout.match(/BEGIN:VEVENT/g)).toHaveLength(3);
  expect(ics.stdout).toContain('SUMMARY:Demo\\, with "quotes"\r\n');
  expect(ics.stdout).toContain('STATUS:CANCELLED\r\n');
  expect(Math.max(...ics.stdout.split('\r\n').map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(
    75,
  );
  const jsonl = await runCli(['meetings', '--jsonl'], environment);
  expect(
    jsonl.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).calendly_uri),
  ).toEqual([soon.uri, later.uri]);
});

test('meetings ID shows the people, their answers and the history of one meeting', async () => {
  const { sandbox, sync, environment } = await synced();
  const { control } = sandbox;
  const answers = [{ question: 'Why?', answer: 'Because', position: 0 }];
  const { event } = control.book({
    start: '+1d',
    guests: ['guest@example.com'],
    invitees: [{ email: 'ada@example.com', questions_and_answers: answers }],
  });
  control.cancel({ event: event.uri, by: 'host', reason: 'ill' });
  await sync();
  const { document } = await runJson(['meetings', event.uri], environment);
  expect(document.meeting).toMatchObject({
    status: 'canceled',
    guests: ['guest@example.com'],
    people: [
      { email: 'ada@example.com', outcome: 'canceled', answers: [{ question: 'Why?', answer: 'Because' }] },
    ],
  });
  expect(document.meeting.history.map((entry: { event: string }) => entry.event)).toEqual([
    'booked',
    'canceled: ill',
    'deleted: canceled',
  ]);
  const shown = await runCli(['meetings', document.meeting.id], environment, { columns: 80 });
  expect(shown.stdout).toContain('Why?: Because');
  const missing = await runJson(['meetings', 'nothing'], environment);
  expect(missing).toMatchObject({ code: 2, document: { error: { code: 'usage' } } });
});

test('report prints a table, CSV or JSON, and --match says who is missing in a table of the application', async () => {
  const { sql, sandbox, sync, environment } = await synced();
  for (const email of ['ada@example.com', 'bob@example.com', 'bob@example.com'])
    sandbox.control.book({ start: '-1d', created: '-3d', invitees: [{ email }] });
  await sync();
  const csv = await runCli(['report', 'people', '--csv'], environment);
  expect(csv.stdout.split('\n').map((line) => line.split(',').slice(0, 1).join())).toEqual([
    'email',
    'bob@example.com',
    'ada@example.com',
    '',
  ]);
  const terminal = await runCli(['report', '--axis', 'booked'], environment, { columns: 140 });
  expect(terminal.stdout).toMatch(/Report weekly by the day of booking \(\S+\)/);
  expect(terminal.stdout).toContain('█');
  const { document } = await runJson(['report', 'weekly', '--timezone', 'Asia/Tokyo'], environment);
  expect(document).toMatchObject({
    axis: 'meeting',
    timezones: ['Asia/Tokyo'],
    rows: [{ bookings: 3, held: 3 }],
  });
  await sql`create table customers ("E-Mail" text)`;
  await sql`insert into customers values (' ADA@example.com '), (null)`;
  const match = await runJson(['report', '--match', 'customers:E-Mail'], environment);
  expect(match.document).toMatchObject({
    people: 2,
    matched: 1,
    unmatched: [{ email: 'bob@example.com', bookings: 2 }],
    unmatched_count: 1,
  });
  for (const argv of [
    ['--match', 'nothing:email'],
    ['--match', 'customers:nothing'],
    ['nothing'],
    ['--timezone', 'Mars/X'],
  ])
    expect((await runJson(['report', ...argv], environment)).code, argv.join(' ')).toBe(2);
  expect((await runJson(['report', '--from', '2026-02-30'], environment)).code).toBe(2);
});

test('query runs one statement and cannot write', async () => {
  const { sql, sandbox, sync, environment } = await synced();
  sandbox.control.book({ start: '+1d' });
  await sync();
  const { document } = await runJson(
    ['query', 'select count(*)::integer as n, now() as n from meetings'],
    environment,
  );
  expect(document).toMatchObject({ ok: true, columns: ['n', 'n'] });
  expect(document.rows[0][0]).toBe(1);
  for (const statement of [
    'delete from meetings',
    'commit; delete from meetings',
    "select set_config('transaction_read_only', 'off', true); delete from meetings",
    'set transaction read write',
    'with gone as (delete from meetings returning 1) select * from gone',
  ])
    expect((await runJson(['query', statement], environment)).code, statement).not.toBe(0);
  expect(await sql`select count(*)::integer as n from meetings`).toEqual([{ n: 1 }]);
});

test('a role with SELECT alone is refused with the way out, and grant-read lets it read all but secrets', async () => {
  const { url, sql, sandbox, sync, environment } = await synced();
  sandbox.control.book({ start: '+1d' });
  await sync();
  const reader = await makeRole(url, 'reader');
  await sql.unsafe(`grant select on all tables in schema public to "${reader.name}"`);
  const asReader = { DATABASE_URL: reader.url };
  const refused = await runJson(['meetings'], asReader);
  expect(refused.document.error.message).toContain('Row-level security hides rows');
  expect(refused.document.error.hint).toContain(`grant-read ${reader.name}`);
  await sql.unsafe(`revoke all on all tables in schema public from "${reader.name}"`);
  for (const _ of ['once', 'twice'])
    expect((await runJson(['grant-read', reader.name], environment)).code).toBe(0);
  expect((await runJson(['meetings'], asReader)).document.meetings).toHaveLength(1);
  expect((await runJson(['report'], asReader)).document.rows).toMatchObject([{ bookings: 1 }]);
  expect(
    (await runJson(['query', 'select * from calendly_sync_health'], asReader)).document.rows,
  ).toHaveLength(1);
  const client = postgres(reader.url, { max: 1 });
  onTestFinished(() => client.end());
  await expect(client`select * from calendly_tokens`).rejects.toThrow('permission denied');
  await expect(client`delete from calendly_events`).rejects.toThrow('permission denied');
  const status = await runJson(['migrate', '--status'], environment);
  expect(status.document).toMatchObject({ ok: true });
  expect((await runJson(['grant-read', 'nobody'], environment)).code).toBe(2);
  expect((await runJson(['rollback', '--to', '0', '--yes'], environment)).code).toBe(0);
  const left = await sql`select 1 from pg_class cross join lateral aclexplode(relacl) as granted
    where grantee = (select oid from pg_roles where rolname = ${reader.name})`;
  expect(left).toEqual([]);
});

test('a role from which policies of the application hide its meetings learns which policy lets it read', async () => {
  const { url, sql } = await testDatabase('empty');
  await createOrigin(sql, { strict: true });
  await sql`alter table meetings enable row level security`;
  const environment = { DATABASE_URL: url };
  const reader = await makeRole(url, 'reader');
  for (const argv of [['migrate'], ['grant-read', reader.name]])
    expect((await runJson(argv, environment)).code).toBe(0);
  const { hint } = (await runJson(['meetings'], { DATABASE_URL: reader.url })).document.error;
  expect(hint).not.toContain('run: calendly-sync grant-read');
  await sql.unsafe(/create policy .*;/.exec(hint)?.[0] ?? '');
  expect((await runJson(['meetings'], { DATABASE_URL: reader.url })).code).toBe(0);
});
