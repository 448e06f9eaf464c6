/** Deliveries that are more than a booking of a connected host. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { hasPendingEvents } from '../../../src/database/tables/webhook-events.js';
import { cleanWebhookEvents } from '../../../src/webhook/clean.js';
import { logLines } from '../../../src/webhook/receiver/log-lines.js';
import { replayWebhookEvents } from '../../../src/webhook/replay.js';
import { testDatabase } from '../../support/database.js';
import { booking, delivery, event, HOST, invitee, receiving } from '../../support/webhooks.js';

const OTHER = 'https://api.calendly.com/users/OTHER001';

/** A database in which `HOST` is connected. */
async function connected() {
  const { url, sql } = await testDatabase();
  const connect = (uri: string, email: string) => sql`
    with u as (insert into users (email) values (${email}) returning id)
    insert into calendly_accounts (user_id, calendly_uri) select id, ${uri} from u`;
  await connect(HOST, 'host@example.com');
  const replay = async () => {
    const database = openServer(url);
    onTestFinished(() => database.close());
    return replayWebhookEvents({ database });
  };
  const ledger = () => sql`
    select event_type, user_id is not null as owned, processed_at is not null as done, error
    from calendly_webhook_events order by created_at, event_id`;
  return { sql, url, connect, replay, ledger, ...receiving(url) };
}

const status = async (response: Response) => ((await response.json()) as { status: string }).status;

test('another event type is stored and acknowledged once', async () => {
  const { post, ledger } = await connected();
  const body = {
    event: 'routing_form_submission.created',
    created_at: '2026-02-01T00:00:00Z',
    payload: { uri: 'r1', created_at: '2026-02-01T00:00:00Z' },
  };
  expect(await status(await post(body))).toBe('ignored');
  expect(await status(await post(body))).toBe('duplicate');
  expect(await status(await post({ event: 'something.new', payload: { any: 'thing' } }))).toBe('ignored');
  expect(await ledger()).toMatchObject([
    { event_type: 'routing_form_submission.created', done: true, error: null },
    { event_type: 'something.new', done: true, error: null },
  ]);
});

test('a copy from another subscription is a duplicate', async () => {
  const { post, ledger } = await connected();
  expect(await status(await post(booking('COPY')))).toBe('applied');
  const copy = { ...booking('COPY'), created_by: OTHER, created_at: '2026-02-01T08:00:09.000000Z' };
  expect(await status(await post(copy))).toBe('duplicate');
  expect(await ledger()).toHaveLength(1);
});

describe('a host who is not connected', () => {
  test('deliveries of a host who is not connected are replayed once the account is connected', async () => {
    const { sql, post, connect, replay, ledger } = await connected();
    expect(await status(await post(booking('THEIRS', { event_memberships: [{ user: OTHER }] })))).toBe(
      'unmatched',
    );
    expect(await ledger()).toMatchObject([{ owned: false, done: true, error: null }]);
    expect(await replay()).toEqual({ applied: 0, waiting: 0, failed: [] });
    await connect(OTHER, 'other@example.com');
    expect(await replay()).toEqual({ applied: 1, waiting: 0, failed: [] });
    expect(await ledger()).toMatchObject([{ owned: true, done: true, error: null }]);
    const rows = await sql`select u.email from meetings m join users u on u.id = m.user_id`;
    expect(rows).toEqual([{ email: 'other@example.com' }]);
  });

  test('deliveries of hosts who are not connected are read by no replay, and cleaned like others', async () => {
    const { sql, url, post } = await connected();
    for (const id of ['A', 'B']) await post(booking(id, { event_memberships: [{ user: OTHER }] }));
    await sql`update calendly_webhook_events set created_at = now() - interval '31 days' where invitee_uri like '%GA'`;
    const database = openServer(url);
    onTestFinished(() => database.close());
    expect(await database.transaction(hasPendingEvents, { readOnly: true })).toBe(false);
    const { deleted } = await cleanWebhookEvents({ database, olderThanMs: 30 * 86_400_000, dryRun: true });
    expect(deleted).toBe(1);
    expect(await sql`select clean_old_webhook_events() as deleted`).toMatchObject([{ deleted: 1 }]);
  });

  test('on request the content of a delivery is not stored if its host is not connected', async () => {
    const { sql, url, connect, replay } = await connected();
    const { post } = receiving(url, { discardUnmatched: true });
    const theirs = booking('THEIRS', { event_memberships: [{ user: OTHER }] });
    expect(await status(await post(theirs))).toBe('unmatched');
    expect(await status(await post(theirs))).toBe('duplicate');
    expect(await status(await post(booking('OURS')))).toBe('applied');
    expect(
      await sql`select count(*)::int as n, count(payload)::int as stored from calendly_webhook_events`,
    ).toMatchObject([{ n: 2, stored: 1 }]);
    await connect(OTHER, 'other@example.com');
    expect(await replay()).toEqual({ applied: 0, waiting: 0, failed: [] });
  });
});

test('a meeting of two connected hosts is stored for both', async () => {
  const { sql, post, connect } = await connected();
  await connect(OTHER, 'other@example.com');
  expect(
    await status(await post(booking('BOTH', { event_memberships: [{ user: HOST }, { user: OTHER }] }))),
  ).toBe('applied');
  const rows = await sql`
    select u.email, count(i.id)::int as guests from meetings m
    join users u on u.id = m.user_id left join meeting_invitees i on i.meeting_id = m.id group by 1 order by 1`;
  expect(rows).toEqual([
    { email: 'host@example.com', guests: 1 },
    { email: 'other@example.com', guests: 1 },
  ]);
});

describe('an old payload without its event', () => {
  test('an old payload without its event changes the invitee of a stored meeting', async () => {
    const { sql, post, ledger } = await connected();
    await post(booking('OLD'));
    const late = { status: 'canceled', updated_at: '2026-02-02T00:00:00Z' };
    const body = delivery('invitee.canceled', invitee(event('OLD').uri, 'GOLD', late), null);
    expect(await status(await post(body))).toBe('applied');
    expect(await sql`select status from meeting_invitees`).toEqual([{ status: 'canceled' }]);
    expect(await ledger()).toMatchObject([{ done: true }, { owned: true, done: true, error: null }]);
  });

  test('an old payload without its event waits until its meeting is stored, and is then replayed', async () => {
    const { sql, post, replay, ledger, events } = await connected();
    const body = delivery('invitee.created', invitee(event('LATER').uri, 'FIRST'), null);
    expect(await status(await post(body))).toBe('failed');
    expect((await ledger())[0]).toMatchObject({
      done: false,
      error: expect.stringContaining('is not stored'),
    });
    const lines = events.flatMap(logLines).map(({ text }) => text);
    expect(lines[0]).toMatch(/^❌ Error processing Calendly webhook: /);
    await post(booking('LATER'));
    expect(await replay()).toMatchObject({ applied: 1, failed: [] });
    expect(await sql`select from meeting_invitees`).toHaveLength(2);
  });
});

describe('what cannot be applied', () => {
  test('a refused delivery is stored with its error, the others of its batch are applied, and a replay applies it', async () => {
    const { sql, post, replay, ledger } = await connected();
    await sql`alter table meetings add constraint no_bad check (title <> 'Bad')`;
    const bodies = [booking('A'), booking('BAD', { name: 'Bad' }), booking('C')];
    const answers = await Promise.all(bodies.map((body) => post(body)));
    expect(await Promise.all(answers.map(status))).toEqual(['applied', 'failed', 'applied']);
    expect((await ledger()).filter(({ done }) => !done)).toMatchObject([
      { error: expect.stringContaining('no_bad') },
    ]);
    expect(await replay()).toMatchObject({
      applied: 0,
      failed: [{ error: expect.stringContaining('no_bad') }],
    });
    await sql`alter table meetings drop constraint no_bad`;
    expect(await replay()).toEqual({ applied: 1, waiting: 0, failed: [] });
    expect(await sql`select from meetings`).toHaveLength(3);
  });

  test('a body that Postgres refuses as JSON is stored as text', async () => {
    const { post, sql, events } = await connected();
    const deep = `${'['.repeat(9_000)}${']'.repeat(9_000)}`;
    const body = JSON.stringify(booking('DEEP')).replace(
      '"questions_and_answers":[]',
      `"questions_and_answers":${deep}`,
    );
    const answer = await post(body);
    expect([answer.status, await status(answer)], JSON.stringify(events)).toEqual([200, 'failed']);
    const [row] = await sql`select jsonb_typeof(payload) as type, error from calendly_webhook_events`;
    expect(row?.type).toBe('string');
  });

  test('numbers keep their digits in the ledger, the meeting and the invitee, after a replay too', async () => {
    const { post, sql, replay } = await connected();
    const exact = '12345678901234567890.123';
    const body = JSON.stringify(booking('EXACT', { big: 'NUMBER' }, { payment: { amount: 'NUMBER' } }));
    await sql`alter table meetings add constraint no_title check (title is null)`;
    expect(await status(await post(body.replaceAll('"NUMBER"', exact)))).toBe('failed');
    await sql`alter table meetings drop constraint no_title`;
    expect(await replay()).toMatchObject({ applied: 1 });
    const [row] = await sql`
      select payload->'payload'->'payment'->>'amount' as ledger, m.raw->>'big' as meeting, i.payment->>'amount' as invitee,
        i.raw->'payment'->>'amount' as raw
      from calendly_webhook_events, meetings m, meeting_invitees i`;
    expect(row).toEqual({ ledger: exact, meeting: exact, invitee: exact, raw: exact });
  });

  test('a delivery that names no invitee is stored and not applied', async () => {
    const { post, ledger } = await connected();
    expect(await status(await post({ event: 'invitee.created', payload: {} }))).toBe('failed');
    expect(await ledger()).toMatchObject([{ error: 'the delivery names no invitee' }]);
  });
});

describe('a row in the ledger whose signature nobody verified', () => {
  const forged = (sql: Awaited<ReturnType<typeof connected>>['sql'], id: string) => sql`
    insert into calendly_webhook_events (event_id, event_type, payload)
    values (${id}, 'invitee.created', ${JSON.stringify(booking('FORGED'))}::text::jsonb)`;

  test('a row that the application or a stranger inserted is never applied', async () => {
    const { sql, replay } = await connected();
    await forged(sql, 'forged');
    expect(await replay()).toEqual({ applied: 0, waiting: 0, failed: [] });
    expect(await sql`select from meetings`).toHaveLength(0);
    expect(await sql`select from calendly_webhook_events where processed_at is null`).toHaveLength(1);
  });

  test('a verified delivery is applied although a row with its event id stands there already', async () => {
    const { sql, post } = await connected();
    await post(booking('REAL'));
    const [{ event_id: id } = { event_id: '' }] = await sql<{ event_id: string }[]>`
      select event_id from calendly_webhook_events`;
    await sql`delete from calendly_webhook_events`;
    await sql`delete from meetings`;
    await forged(sql, id);
    expect(await status(await post(booking('REAL')))).toBe('applied');
    expect([...(await sql`select title from meetings`)]).toEqual([{ title: 'Meeting REAL' }]);
    const [kept] =
      await sql`select signature_verified, processed_at is not null as done from calendly_webhook_events`;
    expect(kept).toEqual({ signature_verified: true, done: true });
  });
});

test('a booking logs the lines that operators look for', async () => {
  const { post, events } = await connected();
  await post(booking('LINE', { name: 'Kick-off' }));
  const [uri] = [event('LINE').uri];
  expect(events.flatMap(logLines).map(({ text }) => text)).toEqual([
    `✅ New meeting scheduled via webhook: ${uri}`,
    '✅ Meeting created from webhook: Kick-off',
  ]);
});
