/** Event types, members, groups, routing forms and contacts: that the tables hold what Calendly has, and the requests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { erase } from '../../src/privacy/erase.js';
import { RESOURCE_NAMES } from '../../src/resources/names.js';
import { RESOURCE_TABLES } from '../../src/resources/tables.js';
import type { Sandbox, SandboxOptions } from '../../src/sandbox/sandbox.js';
import { packageRoot } from '../../src/version.js';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { ask, readAll, settingsOf, testSandbox } from '../support/sandbox.js';
import { configOf, syncing } from '../support/sync.js';

/** A synced account. `daily` runs the daily sync; `only` reads resources alone. */
async function setUp(options: SandboxOptions = {}, host = 0) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 5, rateLimit: 5_000, ...options });
  const run = syncing(sandbox, url, host);
  const sync = async (setting = 'daily') => {
    sandbox.resetLog();
    return (await run({ config: configOf(sandbox, host, setting) })).user;
  };
  const daily = async (setting = 'daily') => {
    await sql`update calendly_accounts set last_full_listing_at = now() - interval '25 hours'`;
    return sync(setting);
  };
  const only = async (...names: (typeof RESOURCE_NAMES)[number][]) => {
    sandbox.resetLog();
    return (await run({ config: configOf(sandbox, host), only: names.length > 0 ? names : RESOURCE_NAMES }))
      .user;
  };
  return { url, sql, sandbox, sync, daily, only, control: sandbox.control };
}

const pathsOf = (sandbox: Sandbox) => sandbox.requests().map(({ path }) => path);
const count = async (sql: postgres.Sql, table: string, where = 'true') =>
  Number((await sql.unsafe(`select count(*) as n from ${table} where ${where}`))[0]?.n);
const noteOf = async (sql: postgres.Sql, resource: string) =>
  (await sql`select note from calendly_resource_states where resource = ${resource}`)[0]?.note;

test('the first sync and an ordinary one read meetings only; the daily one reads the resources after all invitees', async () => {
  const { sandbox, sync, daily } = await setUp();
  const first = await sync();
  expect(first).toMatchObject({ status: 'complete', resources: null });
  expect(first.requests).toBe(1 + 1 + first.invitees.events_read);
  expect(await sync()).toMatchObject({ requests: 1, resources: null });
  const after = await daily();
  expect(after).toMatchObject({ status: 'complete', error: null });
  expect(after.resources?.read.map(({ name, note }) => [name, note])).toEqual(
    RESOURCE_NAMES.map((name) => [name, null]),
  );
  expect(after.requests).toBe(sandbox.requests().length);
  // Who the user is, and the listing; then the resources.
  expect(pathsOf(sandbox).slice(0, 3)).toEqual(['/users/me', '/scheduled_events', '/event_types']);
  expect(after.resources?.requests).toBe(after.requests - 2);
  expect(await sync()).toMatchObject({ requests: 1, resources: null });
});

test('50 members, 260 event types and 4 forms cost nine requests when nothing is new', async () => {
  const { sandbox, only, control } = await setUp({ hosts: 50, events: 0 });
  // Each host has five that are listed.
  for (const host of [0, 1]) control.addType({ host, count: 5 });
  await only();
  const again = await only();
  expect(again.resources?.read.map(({ new: added, updated, removed }) => added + updated + removed)).toEqual([
    0, 0, 0, 0, 0,
  ]);
  // Event types, members, groups, forms, the submissions of each, contacts.
  expect(again.requests).toBe(1 + 1 + 1 + 1 + 4 + 1);
  expect(sandbox.requests()).toHaveLength(again.requests);
});

test('the tables hold what Calendly lists, column by column', async () => {
  const { sql, sandbox, only } = await setUp();
  await only();
  const { organization } = sandbox;
  const types = (await readAll(sandbox, `/event_types?organization=${organization}`)).rows;
  const stored = await sql`select * from calendly_event_types where not unlisted order by uri`;
  expect(stored.map(({ uri }) => uri)).toEqual(types.map(({ uri }) => uri).sort());
  for (const type of types) {
    expect(stored.find(({ uri }) => uri === type.uri)).toMatchObject({
      name: type.name,
      slug: type.slug,
      active: type.active,
      kind: type.kind,
      duration: type.duration,
      scheduling_url: type.scheduling_url,
      profile_type: 'User',
      profile_owner_uri: type.profile.owner,
      secret: false,
      is_paid: false,
      custom_questions: [],
      created_at: new Date(type.created_at),
      deleted_at: null,
      organization_uri: organization,
      raw: type,
    });
  }
  const [members] = await sql`
    select array_agg(email || ' ' || role || ' ' || timezone order by user_uri) as all from calendly_members`;
  const listed = (await readAll(sandbox, `/organization_memberships?organization=${organization}`)).rows;
  expect(members?.all).toEqual(
    listed
      .sort((a, b) => (a.user.uri < b.user.uri ? -1 : 1))
      .map(({ user, role }) => `${user.email} ${role} ${user.timezone}`),
  );
  expect(await sql`select name, member_count, removed_at from calendly_groups`).toEqual([
    { name: 'Sales', member_count: 3, removed_at: null },
  ]);
  expect(await sql`select name, status from calendly_routing_forms order by name`).toEqual([
    ...['Demo request', 'Partners', 'Press', 'Support'].map((name) => ({ name, status: 'published' })),
  ]);
  const { submissions, contacts } = sandbox.control.directory();
  expect(
    await sql`select uri, form_uri, answers, result_type, result_value from calendly_routing_submissions order by created_at`,
  ).toEqual(
    submissions.map((one) => ({
      uri: one.uri,
      form_uri: one.routing_form,
      answers: one.questions_and_answers,
      result_type: one.result?.type,
      result_value: one.result?.value,
    })),
  );
  const own = contacts.filter(({ owner }) => owner === sandbox.hosts[0]?.uri).map(({ resource }) => resource);
  expect(
    await sql`select uri, name, primary_email, emails from calendly_contacts order by created_at`,
  ).toEqual(own.map(({ uri, name, emails }) => ({ uri, name, primary_email: emails[0]?.email, emails })));
});

test('an event type that only meetings name stands as unlisted with their name, and is asked for once, two a day', async () => {
  const { sql, sandbox, only, control, sync } = await setUp({ events: 250 });
  await sync('off');
  const [named] = await sql<
    { types: number }[]
  >`select count(distinct event_type_uri)::integer as types from meetings`;
  await only('event-types');
  expect(pathsOf(sandbox).filter((path) => path.startsWith('/event_types/'))).toHaveLength(2);
  const rows = await sql`
    select t.name, t.unlisted, t.deleted_at is not null as deleted, asked_at is not null as asked from calendly_event_types t
    where unlisted or deleted_at is not null`;
  expect(rows).toEqual([
    { name: expect.any(String), unlisted: false, deleted: true, asked: true },
    { name: expect.any(String), unlisted: false, deleted: true, asked: true },
  ]);
  expect(named?.types).toBeGreaterThan(2);
  // One more that no listing has, and that Calendly does not know any more.
  const uri = 'https://api.calendly.com/event_types/GONE';
  const { event } = control.book({ start: '+3h' });
  control.edit({ event: event.uri, set: { event_type: uri, name: 'A workshop' } });
  await sync('off');
  await only('event-types');
  expect(await sql`select name, unlisted, deleted_at from calendly_event_types where uri = ${uri}`).toEqual([
    { name: 'A workshop', unlisted: true, deleted_at: null },
  ]);
  expect(pathsOf(sandbox)).toEqual(['/event_types']);
  await sql`update calendly_event_types set asked_at = now() - interval '1 day' where asked_at is not null`;
  await only('event-types');
  expect(pathsOf(sandbox)).toEqual(['/event_types', '/event_types/GONE']);
  const gone = await sql`select name, unlisted, deleted_at from calendly_event_types where uri = ${uri}`;
  expect(gone).toEqual([{ name: 'A workshop', unlisted: false, deleted_at: expect.any(Date) }]);
  await sql`update calendly_event_types set asked_at = now() - interval '1 day' where asked_at is not null`;
  expect(await only('event-types')).toMatchObject({ requests: 1 });
});

test('what is deleted at Calendly stays with the time at which a complete listing lacked it', async () => {
  const { sql, sandbox, only, control } = await setUp();
  await only();
  const [type] = await sql`select uri from calendly_event_types limit 1`;
  const [contact] = await sql`select uri from calendly_contacts limit 1`;
  control.editType({ type: type?.uri, retired: true });
  control.removeMember({ host: 1 });
  control.deleteContact({ contact: contact?.uri });
  const { resources } = await only();
  expect(resources?.read.map(({ removed }) => removed)).toEqual([1, 1, 0, 0, 1]);
  expect(await count(sql, 'calendly_members', 'removed_at is not null')).toBe(1);
  expect(await sql`select deleted_at from calendly_contacts where uri = ${contact?.uri}`).toEqual([
    { deleted_at: expect.any(Date) },
  ]);
  // It was asked for at once.
  expect(await sql`select active, deleted_at from calendly_event_types where uri = ${type?.uri}`).toEqual([
    { active: false, deleted_at: expect.any(Date) },
  ]);
  const before =
    await sql`select xmin::text from calendly_members union all select xmin::text from calendly_contacts`;
  expect((await only()).resources?.read.every((one) => one.new + one.updated + one.removed === 0)).toBe(true);
  expect(
    await sql`select xmin::text from calendly_members union all select xmin::text from calendly_contacts`,
  ).toEqual(before);
  expect(sandbox.requests()).toHaveLength(9);
});

test('a listing that breaks off removes nothing, is noted, and the run is complete', async () => {
  const { sql, only, control, daily, sync } = await setUp({ hosts: 120, events: 0 });
  await sync('off');
  await only('members');
  control.removeMember({ host: 119 });
  control.fail({ kind: 'status', status: 500, match: 'page_token', count: null });
  const broken = await daily('members');
  expect(broken).toMatchObject({ status: 'complete', error: null });
  expect(broken.resources?.read).toMatchObject([
    { name: 'members', removed: 0, note: expect.stringContaining('500') },
  ]);
  expect(await count(sql, 'calendly_members', 'removed_at is not null')).toBe(0);
  control.clearFaults();
  await daily('members');
  expect(await count(sql, 'calendly_members', 'removed_at is not null')).toBe(1);
  expect(await noteOf(sql, 'members')).toBeNull();
});

test('a refused resource is off with a note, the others are read, health stays healthy, and it is tried again daily', async () => {
  const { url, sql, sandbox, daily, sync, control } = await setUp();
  await sync('off');
  const body = { title: 'Insufficient scope', message: 'no', required_scopes: ['groups:read'] };
  control.fail({ kind: 'status', status: 403, match: '/groups', count: null, body });
  control.fail({ kind: 'status', status: 200, match: '/routing_forms', count: null, body: { forms: [] } });
  expect(await daily()).toMatchObject({ status: 'complete', error: null });
  expect(await noteOf(sql, 'groups')).toContain('groups:read');
  expect(await noteOf(sql, 'routing-forms')).toContain('another shape');
  expect(await count(sql, 'calendly_members')).toBe(3);
  const settings = settingsOf(sandbox, url);
  const { code, document } = await runJson(['health'], settings);
  expect(code).toBe(0);
  expect(document).toMatchObject({ healthy: true });
  expect(document.resources).toMatchObject([
    { resource: 'groups', users: 1, email: sandbox.hosts[0]?.email, note: expect.stringContaining('403') },
    { resource: 'routing-forms' },
  ]);
  const { stdout } = await runCli(['health'], settings);
  expect(stdout.split('\n').filter((line) => line.startsWith('Off: '))).toHaveLength(2);
  control.clearFaults();
  await daily();
  expect(await noteOf(sql, 'groups')).toBeNull();
  expect(await count(sql, 'calendly_groups')).toBe(1);
});

test('with `hourly`, a refused resource is tried daily, and one that was unreachable with the next sync', async () => {
  const { sandbox, sync, control } = await setUp({ events: 0 });
  await sync('off');
  control.fail({ kind: 'status', status: 403, match: '/groups' });
  control.fail({ kind: 'status', status: 500, match: '/contacts', count: 6 });
  await sync('hourly');
  expect((await sync('hourly')).resources?.read).toMatchObject([{ name: 'contacts', note: null }]);
  expect(pathsOf(sandbox)).toEqual(['/scheduled_events', '/contacts']);
});

test('a plain member has the event types and contacts that Calendly shows, and the rest is off', async () => {
  const { sql, sandbox, only } = await setUp({}, 1);
  const { resources } = await only();
  expect(resources?.read.filter(({ note }) => note === null).map(({ name }) => name)).toEqual([
    'event-types',
    'contacts',
  ]);
  const mine = (await readAll(sandbox, `/event_types?user=${sandbox.hosts[1]?.uri}`, 1)).rows;
  expect(await count(sql, 'calendly_event_types', 'not unlisted')).toBe(mine.length);
});

test('submissions and contacts are read as far as they are new, and a broken first reading is continued', async () => {
  const { sql, sandbox, only, control } = await setUp();
  control.submitForm({ count: 250 });
  control.addContact({ count: 250 });
  control.fail({ kind: 'status', status: 500, match: 'page_token', after: 1, count: null });
  await only('routing-forms');
  expect(await count(sql, 'calendly_routing_submissions')).toBe(200);
  control.clearFaults();
  await only('routing-forms', 'contacts');
  expect(await count(sql, 'calendly_routing_submissions')).toBe(253);
  expect(await count(sql, 'calendly_contacts')).toBe(252);
  // Forms, the submissions of each, contacts.
  expect(await only('routing-forms', 'contacts')).toMatchObject({ requests: 1 + 4 + 1 });
  control.submitForm({ count: 120 });
  const [first] = await sql`select uri from calendly_contacts order by updated_at limit 1`;
  control.editContact({ contact: first?.uri, set: { company: 'Analytical Engines' } });
  expect(await only('routing-forms', 'contacts')).toMatchObject({ requests: 1 + 4 + 1 + 1 });
  expect(await count(sql, 'calendly_routing_submissions')).toBe(373);
  expect(await sql`select company from calendly_contacts where uri = ${first?.uri}`).toEqual([
    { company: 'Analytical Engines' },
  ]);
  // A deleted one is found when the listing is read to its end, weekly.
  control.deleteContact({ contact: first?.uri });
  expect((await only('contacts')).resources?.read).toMatchObject([{ removed: 0 }]);
  await sql`update calendly_resource_states set complete_at = now() - interval '8 days'`;
  expect((await only('contacts')).resources?.read).toMatchObject([{ removed: 1 }]);
  expect(sandbox.requests()).toHaveLength(3);
});

test('more than a page of event types costs one request when nothing is new', async () => {
  const { sandbox, only, control, sync } = await setUp({ events: 0 });
  await sync('off');
  control.addType({ count: 240 });
  await only('event-types');
  expect(sandbox.requests()).toHaveLength(3);
  expect(await only('event-types')).toMatchObject({ requests: 1 });
});

test('odd values become null and raw keeps them', async () => {
  const { sql, only, control } = await setUp();
  const [type] = control.addType({
    set: { duration: 'long', created_at: 'yesterday', duration_options: [15, 30] },
  });
  await only('event-types');
  expect(
    await sql`select duration, created_at, duration_options, raw ->> 'duration' as raw from calendly_event_types where uri = ${type?.uri ?? ''}`,
  ).toEqual([{ duration: null, created_at: null, duration_options: [15, 30], raw: 'long' }]);
});

test('`sync --only` reads those resources and nothing else; a setting chooses what the daily sync reads', async () => {
  const { url, sandbox, daily, sync } = await setUp({ events: 0 });
  await sync('off');
  const settings = settingsOf(sandbox, url);
  sandbox.resetLog();
  const { code, document } = await runJson(['sync', '--only', 'event-types'], settings);
  expect(code).toBe(0);
  expect(document.users[0]).toMatchObject({
    status: 'complete',
    window: null,
    resources: { requests: 1, read: [{ name: 'event-types' }] },
  });
  expect(pathsOf(sandbox)).toEqual(['/event_types']);
  expect(await runCli(['sync', '--only', 'meetings'], settings)).toMatchObject({ code: 2 });
  expect(await runCli(['sync', '--only', 'members', '--since', '2026-01-01'], settings)).toMatchObject({
    code: 2,
  });
  expect(await runCli(['sync'], { ...settings, CALENDLY_SYNC_RESOURCES: 'meetings' })).toMatchObject({
    code: 2,
  });
  expect((await daily('members, groups')).resources?.read.map(({ name }) => name)).toEqual([
    'members',
    'groups',
  ]);
  expect((await daily('off')).resources).toBeNull();
  expect((await sync('hourly,contacts')).resources?.read.map(({ name }) => name)).toEqual(['contacts']);
  expect(await sync('hourly,contacts')).toMatchObject({ requests: 1, resources: null });
});

test('after `erase` no resource names the person, after any number of syncs', async () => {
  const { url, sql, only, control } = await setUp();
  const database = openServer(url);
  onTestFinished(() => database.close());
  const ada = 'ada@guest.example';
  control.submitForm({ email: ada, tracking: { utm_term: 'lead-ada' } });
  control.addContact({
    set: { name: 'Ada Lovelace', emails: [{ email: 'x@guest.example' }, { email: 'ADA@guest.example' }] },
  });
  control.addType({ set: { internal_note: `Ask ${ada} first` } });
  await only();
  await erase({ database, email: ada });
  const holds = async () => {
    const tables = ['event_types', 'routing_submissions', 'contacts', 'members', 'groups', 'routing_forms'];
    const found = await Promise.all(
      tables.map((table) => count(sql, `calendly_${table} t`, `t::text ~* 'ada@|lovelace|lead-ada'`)),
    );
    return found.reduce((sum, one) => sum + one, 0);
  };
  expect(await holds()).toBe(0);
  const submissions = await count(sql, 'calendly_routing_submissions');
  await sql`update calendly_resource_states set cursors = '{}', complete_at = null`;
  expect((await only()).resources?.read.every((one) => one.new + one.updated === 0)).toBe(true);
  expect(await holds()).toBe(0);
  expect(await count(sql, 'calendly_routing_submissions')).toBe(submissions);
});

test('the sandbox answers as Calendly does: scopes, sorting, retired event types', async () => {
  const { sandbox, control } = await setUp();
  const { token } = control.grant({ scopes: ['event_types:read'] });
  const organization = encodeURIComponent(sandbox.organization);
  expect(await ask(sandbox, `/groups?organization=${organization}`, { token })).toMatchObject({
    status: 403,
    body: { required_scopes: ['groups:read'] },
  });
  expect((await ask(sandbox, `/groups?organization=${organization}`, { host: 1 })).status).toBe(403);
  expect((await ask(sandbox, '/routing_form_submissions')).status).toBe(400);
  const [added] = control.addType();
  const { rows } = await readAll(sandbox, `/event_types?organization=${organization}&sort=updated_at:desc`);
  expect(rows[0].uri).toBe(added?.uri);
  control.editType({ type: added?.uri ?? '', retired: true });
  const { body } = await ask(sandbox, `/event_types/${added?.uri.split('/').at(-1)}`);
  expect(body.resource.deleted_at).toEqual(expect.any(String));
  expect((await ask(sandbox, '/contacts?sort=updated_at:desc', { host: 1 })).body.collection).toHaveLength(2);
});

test('docs/data.md names every column of calendly_bookings and of the tables of resources', async () => {
  const { sql } = await testDatabase();
  const docs = readFileSync(join(packageRoot, 'docs/data.md'), 'utf8');
  const tables = [
    'calendly_bookings',
    'calendly_resource_states',
    ...RESOURCE_TABLES.map(({ table }) => table),
  ];
  const columns = await sql<{ name: string }[]>`
    select distinct attname::text as name from pg_attribute
    where attrelid = any(${tables}::regclass[]) and attnum > 0 and not attisdropped`;
  expect(columns.length).toBeGreaterThan(80);
  expect(columns.filter(({ name }) => !docs.includes(`\`${name}\``))).toEqual([]);
});
