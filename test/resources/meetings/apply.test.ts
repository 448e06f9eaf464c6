/** Two writers of one meeting at the same time. */
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../../support/database.js';
import { booking, delivery, event, HOST, invitee, receiving } from '../../support/webhooks.js';

test('a delivery that waited for the lock of another writer does not undo what that writer wrote', async () => {
  const { url, sql } = await testDatabase();
  await sql`
    with u as (insert into users (email) values ('host@example.com') returning id)
    insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from u`;
  const { post } = receiving(url);
  await post(booking('GROUP'));
  const { uri } = event('GROUP');
  const [first, second] = [`${uri}/invitees/FIRST`, `${uri}/invitees/SECOND`];
  const other = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => other.end());

  let late: Promise<Response> | undefined;
  await other.begin(async (tx) => {
    await tx`select from calendly_events for update`;
    const taken = delivery('invitee_no_show.deleted', invitee(uri, 'SECOND'), event('GROUP'));
    late = post(taken);
    await waitingForLock(sql);
    await tx`update calendly_events
      set no_shows_removed = jsonb_build_object(${first}::text, '2026-03-02T00:00:00.000000Z'), fingerprint = 'theirs'`;
    await tx`insert into meeting_invitees (meeting_id, calendly_uri, email) select id, ${first}, 'kept' from meetings`;
  });

  expect((await late)?.status).toBe(200);
  const [read] = await sql`select fingerprint, no_shows_removed from calendly_events`;
  expect(read?.fingerprint).toBe('theirs');
  expect(Object.keys(read?.no_shows_removed ?? {}).sort()).toEqual([first, second]);
  expect(await sql`select from meeting_invitees`).toHaveLength(3);
});

test('two writers that insert the same meeting at the same moment store it once, with what both know', async () => {
  const { url, sql } = await testDatabase();
  await sql`
    with u as (insert into users (email) values ('host@example.com') returning id)
    insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from u`;
  const { post } = receiving(url);
  const { uri } = event('RACE');
  const other = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => other.end());

  let late: Promise<Response> | undefined;
  await other.begin(async (tx) => {
    await tx`
      with m as (
        insert into meetings (user_id, external_id, calendly_uri) select id, 'RACE', ${uri} from users
        returning id, user_id, external_id
      ), e as (insert into calendly_events (meeting_id, user_id, external_id) select * from m)
      insert into meeting_invitees (meeting_id, calendly_uri, email) select id, ${`${uri}/invitees/OTHER`}, 'kept' from m`;
    late = post(booking('RACE'));
    await waitingForLock(sql);
  });

  expect((await late)?.status).toBe(200);
  const [row] = await sql`select count(*)::integer as n, min(title) as title from meetings`;
  expect(row).toEqual({ n: 1, title: 'Meeting RACE' });
  expect(await sql`select from meeting_invitees`).toHaveLength(2);
  expect(await sql`select from calendly_webhook_events where processed_at is null`).toHaveLength(0);
});

/** Resolves when a transaction of this database waits for a lock. */
async function waitingForLock(sql: postgres.Sql): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    if (count > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('no transaction waits for a lock');
}
