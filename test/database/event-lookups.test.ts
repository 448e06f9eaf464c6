/** How many rows a lookup reads, where the planner's statistics are those of an earlier account. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { lockEvents } from '../../src/database/tables/calendly-events.js';
import { findMeetings } from '../../src/database/tables/meetings.js';
import { preferIndexes } from '../../src/database/transaction.js';
import { applyObservations } from '../../src/resources/meetings/apply.js';
import { testDatabase } from '../support/database.js';

test('a write reads a few rows for each meeting, whatever the planner believes of the account', async () => {
  const { url, sql } = await testDatabase();
  const database = openServer(url);
  onTestFinished(() => database.close());
  const fill = (email: string) => sql`
    with u as (insert into users (email) values (${email}) returning id), m as (
      insert into meetings (user_id, external_id, calendly_uri)
      select id, 'E' || n, 'E' || n from u, generate_series(1, 2000) as n
      returning id, user_id, external_id
    ) insert into calendly_events (meeting_id, user_id, external_id) select * from m`;
  await fill('known@example.com');
  await sql`analyze`;
  await fill('new@example.com');
  const [user = { id: '' }] = await sql<{ id: string }[]>`
    select id::text as id from users where email = 'new@example.com'`;
  const known = Array.from({ length: 50 }, (_, index) => `E${index * 40 + 1}`);
  const read = await database.transaction(async (tx) => {
    await preferIndexes(tx);
    expect(await lockEvents(tx, user.id, known)).toHaveLength(50);
    expect((await findMeetings(tx, user.id, known)).size).toBe(50);
    const observations = known.map((id) => {
      const requestedAt = { event: '2026-01-01T00:00:00.000000Z', invitees: '2026-01-01T00:00:00.000000Z' };
      return {
        uri: `NEW${id}`,
        event: { uri: `NEW${id}` },
        invitees: [],
        source: 'listing' as const,
        requestedAt,
      };
    });
    await applyObservations(tx, user.id, observations);
    const [counted] = await tx<{ rows: number }[]>`
      select (seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables
      where relname = 'calendly_events'`;
    return counted?.rows;
  });
  expect(read).toBeLessThan(1_000);
});
