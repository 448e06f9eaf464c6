/**
 * The one statement for new bookings stores what the general path stores. `BOOKINGS=10000` compares more deliveries.
 */
import fc from 'fast-check';
import type postgres from 'postgres';
import { expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { testDatabase } from '../../support/database.js';
import { booking, HOST, type Loose, receiving } from '../../support/webhooks.js';

const TOTAL = Number(process.env.BOOKINGS ?? 300);
const PER_RUN = 15;

const odd = fc.constantFrom<unknown>(undefined, null, 5, '', 'text', [], {}, true, [null, 'x'], { type: 3 });
const text = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('Ada', `O'Brien "B"`, 'back\\slash', 'ü€😀', ' a@b.example ', '\u001e\t\n'),
  },
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('\u0000', '\ud800', null),
);
const time = fc.constantFrom<unknown>(
  '2026-02-01T08:00:00.000001Z',
  '2026-02-01T08:00:00Z',
  '2026-02-01T09:00+01:00',
  'soon',
  null,
);
const location = fc.constantFrom<unknown>(
  { type: 'zoom', status: 'pushed', join_url: 'https://zoom.example/1', data: { id: 12345678901 } },
  { type: 'physical', location: 'Here "and" there' },
  { type: 'custom', location: null, join_url: 7 },
  null,
);
const mostly = <T>(usual: fc.Arbitrary<T>) => fc.oneof({ weight: 9, arbitrary: usual }, odd);

/** What a body may say of an event and of an invitee; a key that is undefined is missing. */
const eventPart = fc.record(
  {
    name: mostly(text),
    status: fc.constantFrom('active', 'active', 'active', 'canceled', null),
    start_time: time,
    updated_at: mostly(time),
    location: mostly(location),
    invitees_counter: fc.constantFrom<unknown>(
      { total: 1, active: 1, limit: 1 },
      { total: 1, active: 1, limit: 1 },
      { total: 2, active: 1 },
      { total: -1 },
      null,
    ),
    cancellation: fc.constantFrom<unknown>(null, { reason: 'ill', canceled_by: 'Ada', created_at: 'x' }),
    event_memberships: fc.constantFrom<unknown>(
      ...Array.from({ length: 8 }, () => [{ user: HOST, user_email: 'host@example.com' }]),
      [{ user: HOST }, { user: `${HOST}2` }],
      [{ user: `${HOST}9` }],
      [],
      'nobody',
    ),
    event_guests: odd,
    meeting_notes_plain: text,
  },
  { requiredKeys: ['event_memberships'] },
);
const guestPart = fc.record(
  {
    email: mostly(text),
    name: mostly(text),
    timezone: text,
    questions_and_answers: mostly(fc.array(fc.record({ question: text, answer: text }), { maxLength: 2 })),
    tracking: mostly(fc.record({ utm_source: text })),
    payment: mostly(fc.constantFrom<unknown>(null, { amount: 12.5, currency: 'EUR' })),
    no_show: fc.constantFrom<unknown>(null, null, { uri: 'n', created_at: '2026-02-01T09:00:00Z' }, 5),
    rescheduled: mostly(fc.boolean()),
    updated_at: mostly(time),
  },
  { requiredKeys: [] },
);
/** The same in the text of a body. */
const rewrite = fc.constantFrom<(text: string) => string>(
  ...Array.from({ length: 8 }, () => (body: string) => body),
  (body) => body.replace('"limit":1', '"limit":1.10,"exact":12345678901234567890.123'),
  (body) => body.replace('"timezone":', '"__proto__":{"a":1},"timezone":'),
  (body) => body.replace('"status":', '"status":"older","status":'),
  (body) => body.replaceAll('a', '\\u0061').replaceAll('\\\\u0061', '\\\\a'),
);
const delivery = fc.record({
  event: eventPart,
  guest: guestPart,
  rewrite,
  copies: fc.constantFrom(1, 1, 1, 2),
});

/** The content of all tables, without ids and without when it was written. */
async function rowsOf(sql: postgres.Sql, prefix: string) {
  const mine = `%/${prefix}-%`;
  return {
    meetings: await sql`
      select to_jsonb(m) - '{id,user_id,last_calendar_sync}'::text[] as row, u.email
      from meetings m join users u on u.id = m.user_id where calendly_uri like ${mine} order by calendly_uri, u.email`,
    events: await sql`
      select to_jsonb(e) - '{meeting_id,user_id,read_at,written_at}'::text[] as row, read_at is null as unread, u.email
      from calendly_events e join users u on u.id = e.user_id join meetings m on m.id = e.meeting_id
      where m.calendly_uri like ${mine} order by e.external_id, u.email`,
    invitees: await sql`
      select to_jsonb(i) - '{id,meeting_id}'::text[] as row from meeting_invitees i
      where calendly_uri like ${mine} order by calendly_uri, meeting_id`,
    ledger: await sql`
      select to_jsonb(l) - '{id,user_id,processed_at,created_at}'::text[] as row, processed_at is null as pending, u.email
      from calendly_webhook_events l left join users u on u.id = l.user_id
      where event_id like ${mine} order by event_id`,
  };
}

/** A receiver for two hosts; without the statement, everything takes the general path. */
async function receiver(withStatement: boolean, prepare: boolean) {
  const { url, sql } = await testDatabase();
  for (const [email, uri] of [
    ['host@example.com', HOST],
    ['other@example.com', `${HOST}2`],
  ] as const) {
    const [user] = await sql`insert into users (email) values (${email}) returning id`;
    await sql`insert into calendly_accounts (user_id, calendly_uri) values (${user?.id}, ${uri})`;
  }
  const real = openServer(url, { prepare });
  let stored = 0;
  const database: Database = {
    ...real,
    async query<Row extends object>(...args: Parameters<typeof real.query<Row>>) {
      if (!withStatement) throw new Error('not here');
      const rows = await real.query<Row>(...args);
      stored += rows.filter((row) => (row as Loose).meeting_id != null).length;
      return rows;
    },
  };
  return { ...receiving('', { database }), sql, stored: () => stored };
}

test('the one statement for new bookings stores what the general path stores, and declines the rest', async () => {
  const [fast, unprepared, general] = [
    await receiver(true, true),
    await receiver(true, false),
    await receiver(false, true),
  ];
  let run = 0;
  let sent = 0;
  const property = fc.asyncProperty(
    fc.array(delivery, { minLength: PER_RUN, maxLength: PER_RUN }),
    async (deliveries) => {
      const prefix = `RUN${run++}`;
      const bodies = deliveries.flatMap(({ event, guest, rewrite, copies }, index) => {
        const body = rewrite(JSON.stringify(booking(`${prefix}-${index}`, event, guest)));
        return Array.from({ length: copies }, () => body);
      });
      sent += bodies.length;
      const answers = await Promise.all(
        [fast, unprepared, general].map(({ post }) =>
          Promise.all(bodies.map(async (body) => (await post(body)).json())),
        ),
      );
      expect(answers[0]).toEqual(answers[2]);
      expect(answers[1]).toEqual(answers[2]);
      const expected = await rowsOf(general.sql, prefix);
      expect(await rowsOf(fast.sql, prefix)).toEqual(expected);
      expect(await rowsOf(unprepared.sql, prefix)).toEqual(expected);
    },
  );
  await fc.assert(property, { numRuns: Math.ceil(TOTAL / PER_RUN), endOnFailure: true });
  for (const { stored } of [fast, unprepared]) expect(stored() / sent).toBeGreaterThan(0.1);
  expect(general.stored()).toBe(0);
}, 600_000);
