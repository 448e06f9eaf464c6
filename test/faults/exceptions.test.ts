/** Rows that the database refuses and events that Calendly cannot show: the others are stored, and runs go on. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

async function account(events: number) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events, rateLimit: 50_000 });
  return { sql, sandbox, run: syncing(sandbox, url) };
}

const REFUSALS = {
  'drops its insert': `if new.title = 'refused' then return null; end if; return new;`,
  'fails with an error of its own code': `if new.title = 'refused' then perform no_such_column from users; end if; return new;`,
  'runs into a timeout': `if new.title = 'refused' then raise exception using errcode = '57014'; end if; return new;`,
};

for (const [name, body] of Object.entries(REFUSALS)) {
  test(`all rows but one are stored if a trigger of the application ${name}`, async () => {
    const { sql, sandbox, run } = await account(150);
    await sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin ${body} end $$;
      create trigger refuse before insert on meetings for each row execute function refuse();`);
    const bad = sandbox.control.book({ name: 'refused' }).event.uri;
    const { user, events } = await run();
    expect(user).toMatchObject({ status: 'failed', error: { code: 'incomplete' } });
    expect(user.error?.message).toContain('1 of 151 meetings');
    expect(user.new + user.recorded_canceled).toBe(150);
    const warnings = events.filter(({ type }) => type === 'warning');
    expect(warnings.map((event) => 'text' in event && event.text)).toEqual([expect.stringContaining(bad)]);
    await sql`drop trigger refuse on meetings`;
    expect((await run()).user).toMatchObject({ status: 'complete', new: 1 });
    await expectTruth(sql, sandbox);
  });
}

test('an update that a trigger drops is reported as failed, not as done', async () => {
  const { sql, sandbox, run } = await account(20);
  const [edited, deleted] = ['+1d', '+2d'].map(
    (start) => sandbox.control.book({ start, created: '-2d' }).event.uri,
  );
  if (!edited || !deleted) throw new Error('nothing was booked');
  await run();
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger refuse before update on meetings for each row execute function refuse();`);
  sandbox.control.edit({ event: edited, set: { name: 'edited' } });
  sandbox.control.delete({ event: deleted });
  for (let failures = 1; failures <= 2; failures++) {
    const { user } = await run();
    expect(user).toMatchObject({ status: 'failed', error: { code: 'incomplete' }, updated: 0, deleted: 0 });
    expect(user.error?.message).toMatch(/^2 of \d+ meetings could not be brought up to date/);
  }
  const { user } = await run();
  expect(user).toMatchObject({ status: 'complete', updated: 0, deleted: 0 });
  expect(user.exceptions.map(({ uri }) => uri).sort()).toEqual([edited, deleted].sort());
  await sql`drop trigger refuse on meetings`;
  await sql`update calendly_pending_events set listed_at = now() - interval '25 hours'`;
  expect((await run()).user).toMatchObject({ status: 'complete', updated: 1, deleted: 1, exceptions: [] });
});

test('many refused rows do not keep a later row of the listing from being stored', async () => {
  const { sql, sandbox, run } = await account(120);
  for (let day = 40; day < 80; day++) sandbox.control.book({ name: 'refused', start: `-${day}d` });
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin ${REFUSALS['drops its insert']} end $$;
    create trigger refuse before insert on meetings for each row execute function refuse();`);
  expect((await run()).user).toMatchObject({ status: 'failed', error: { code: 'incomplete' } });
  const late = sandbox.control.book({ start: '+30d' }).event.uri;
  expect((await run()).user).toMatchObject({ status: 'failed', new: 1, error: { code: 'incomplete' } });
  expect(await sql`select from meetings where calendly_uri = ${late}`).toHaveLength(1);
  const { user } = await run();
  expect(user).toMatchObject({ status: 'complete', error: null });
  expect(user.exceptions).toHaveLength(40);
});

test('an event that is not stored and that Calendly does not have any more is not pending', async () => {
  const { sql, sandbox, run } = await account(10);
  const [refused, removed] = ['refused', 'removed'].map(
    (name) => sandbox.control.book({ name, created: '-2d', invitees: 1, limit: 2 }).event.uri,
  );
  if (!refused || !removed) throw new Error('nothing was booked');
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin ${REFUSALS['drops its insert']} end $$;
    create trigger refuse before insert on meetings for each row execute function refuse();`);
  const match = `${removed.split('/').pop()}/invitees`;
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match });
  for (let failures = 1; failures <= 3; failures++) await run();
  expect(await sql`select failures from calendly_pending_events`).toEqual([{ failures: 3 }, { failures: 3 }]);
  await sql`delete from meetings where calendly_uri = ${removed}`;
  sandbox.control.delete({ event: refused });
  sandbox.control.delete({ event: removed });
  sandbox.control.clearFaults();
  await sql`update calendly_pending_events set listed_at = now() - interval '25 hours'`;
  expect((await run()).user).toMatchObject({ status: 'complete', exceptions: [], deleted: 0 });
  expect(await sql`select from calendly_pending_events`).toHaveLength(0);
});

test('if the database refuses every row, the run fails with the reason instead of asking for each', async () => {
  const { sql, run } = await account(150);
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'closed today'; end $$;
    create trigger refuse before insert on meetings for each row execute function refuse();`);
  const { user } = await run();
  expect(user).toMatchObject({ status: 'failed', new: 0, error: { code: 'database_failed' } });
  expect(user.error?.message).toContain('closed today');
  expect(user.requests).toBeLessThan(10);
});

test('an event that fails in three runs is set aside: the account is synced, the event is named and tried daily', async () => {
  const { sql, sandbox, run } = await account(30);
  const { event } = sandbox.control.book({ start: '-100d', created: '-110d', invitees: 2, limit: 3 });
  const id = event.uri.split('/').pop() ?? '';
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: `${id}/invitees` });
  for (const failures of [1, 2]) {
    expect((await run()).user).toMatchObject({ status: 'failed', error: { code: 'incomplete' } });
    expect(await sql`select failures from calendly_pending_events`).toEqual([{ failures }]);
  }
  const third = await run();
  expect(third.user).toMatchObject({ status: 'complete', mode: 'full', error: null });
  expect(third.user.exceptions).toMatchObject([{ uri: event.uri, message: expect.stringContaining('403') }]);
  expect(await sql`select calendly_initial_sync_complete as done from users`).toEqual([{ done: true }]);
  // The row itself is stored; only its invitees are missing.
  expect(await sql`select from meetings where calendly_uri = ${event.uri}`).toHaveLength(1);

  const soon = await run();
  expect(soon.user).toMatchObject({ status: 'complete', mode: 'incremental', requests: 1 });
  expect(soon.user.exceptions).toHaveLength(1);
  await sql`update calendly_pending_events set listed_at = now() - interval '25 hours'`;
  expect((await run()).user).toMatchObject({
    status: 'complete',
    requests: 2,
    exceptions: [{ uri: event.uri }],
  });

  sandbox.control.clearFaults();
  await sql`update calendly_pending_events set listed_at = now() - interval '25 hours'`;
  expect((await run()).user).toMatchObject({ status: 'complete', exceptions: [] });
  await expectTruth(sql, sandbox);
});

test('a token that may not read invitees ends the run at the first refusal, with the rows stored', async () => {
  const { sandbox, sql, run } = await account(150);
  const body = { title: 'Insufficient scope', message: 'no', required_scopes: ['scheduled_events:read'] };
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: '/invitees', body });
  const { user } = await run({ concurrency: 2 });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_forbidden' } });
  expect(user.requests).toBeLessThan(20);
  expect((await sql`select from meetings`).length).toBe(150);
});

test('events that are set aside and fail again on their day neither end the run nor keep others from being read', async () => {
  const { sql, sandbox, run } = await account(0);
  const refused = Array.from(
    { length: 12 },
    (_, day) => sandbox.control.book({ start: `+${day + 1}d`, created: '-2d' }).event.uri,
  );
  await run();
  for (const uri of refused)
    sandbox.control.fail({
      kind: 'status',
      status: 403,
      count: null,
      match: `${uri.split('/').pop()}/invitees`,
    });
  for (let failures = 1; failures <= 3; failures++) {
    await sql`update calendly_events set fingerprint = null`;
    await sql`update calendly_pending_events set listed_at = now() - interval '25 hours'`;
    await run();
  }
  await sql`update calendly_pending_events set failures = 3, listed_at = now() - interval '25 hours'`;
  const { uri } = sandbox.control.book({ start: '+60d', created: '-2d' }).event;
  const { user } = await run({ concurrency: 1 });
  expect(user).toMatchObject({ status: 'complete', error: null, new: 1 });
  expect(user.exceptions.map((exception) => exception.uri).sort()).toEqual(refused.sort());
  const [row] =
    await sql`select fingerprint from calendly_events where external_id = ${uri.split('/').pop() ?? ''}`;
  expect(row?.fingerprint).not.toBeNull();
});

test('if Calendly refuses ten events and answers for none, the run ends', async () => {
  const { sandbox, run } = await account(150);
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: '/invitees' });
  const { user } = await run({ concurrency: 2 });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_forbidden' } });
  expect(user.requests).toBeLessThan(60);
});
