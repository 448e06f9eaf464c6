import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { healthReport } from '../../src/health/report.js';
import { subscribe } from '../../src/webhook/subscriptions/subscribe.js';
import { connectedAccount } from '../support/connected-account.js';
import { testDatabase } from '../support/database.js';
import { KEY } from '../support/webhooks.js';

const DAY_MS = 86_400_000;
const NO_CALENDLY = { calendlyToken: null, calendlyApiUrl: 'http://127.0.0.1:9', webhookSigningKeys: [] };

async function opened(kind: 'migrated' | 'empty' = 'migrated') {
  const { sql, url } = await testDatabase(kind);
  const database = openServer(url);
  const report = (more: object = {}) =>
    healthReport({ database, config: NO_CALENDLY, maxAgeMs: DAY_MS, ...more });
  return { sql, database, report };
}

describe('the health report', () => {
  let sql: Awaited<ReturnType<typeof opened>>['sql'];
  let database: Database;
  let report: Awaited<ReturnType<typeof opened>>['report'];

  beforeAll(async () => {
    ({ sql, database, report } = await opened());
    await sql.unsafe(`
      insert into users (email) values ('dana@example.com'), ('Lee@Example.com');
      insert into users (email) select 'other' || n || '@example.com' from generate_series(1, 500) n;
      insert into calendly_accounts (user_id, calendly_uri, last_full_listing_at)
        select id, 'https://api.calendly.com/users/' || id, now() from users where email ilike '%a@%' or email ilike 'lee@%';
      update users set last_calendly_sync = now(), calendly_initial_sync_complete = true
        where email in ('dana@example.com', 'Lee@Example.com');
      insert into meetings (user_id, meeting_source, external_id, is_deleted, synced_via_webhook, last_calendar_sync)
        select u.id, 'calendly', 'event-' || n, n > 148, n <= 5, now()
        from users u, generate_series(1, 175) n where u.email = 'dana@example.com';
      insert into meetings (user_id, meeting_source, external_id)
        select id, 'outlook', 'foreign' from users where email = 'dana@example.com';
      insert into calendly_webhook_events (event_id, event_type, payload, user_id)
        select 'delivery-' || n, case when n <= 3 then 'invitee.canceled' else 'invitee.created' end, '{}', u.id
        from users u, generate_series(1, 5) n where u.email = 'dana@example.com';`);
  });
  afterAll(() => database.close());

  test('the health report shows every connected user, with the counts of the health view', async () => {
    const { users } = await report();
    expect(users.map(({ email }) => email)).toEqual(['dana@example.com', 'Lee@Example.com']);
    expect(users[0]).toMatchObject({
      status: 'ok',
      problems: [],
      active_calendly_meetings: 148,
      deleted_calendly_meetings: 27,
      webhook_synced_meetings: 5,
      webhook_events_received: 5,
    });
    const view =
      await sql`select * from calendly_sync_health where email in ('dana@example.com', 'Lee@Example.com')
      order by lower(email)`;
    for (const [index, row] of view.entries()) {
      const user = Object.entries(users[index] ?? {}).map(([key, value]) => [key, comparable(value)]);
      const same = Object.entries(row).map(([key, value]) => [key, comparable(value)]);
      expect(Object.fromEntries(user)).toMatchObject(Object.fromEntries(same));
    }
  });

  test('users without a Calendly account are counted, not listed, and not a problem', async () => {
    const { healthy, users, users_not_connected: others, problems, migrations } = await report();
    expect({ healthy, problems }).toEqual({ healthy: true, problems: [] });
    expect(users).toHaveLength(2);
    expect(others).toBe(500);
    expect(migrations.pending).toEqual([]);
    expect(migrations.applied.length).toBeGreaterThan(3);
  });

  test('the health report counts webhook events by type', async () => {
    const { webhook_events: events } = await report();
    expect(events).toEqual([
      { event_type: 'invitee.canceled', count: 3, last_received: expect.any(Date) },
      { event_type: 'invitee.created', count: 2, last_received: expect.any(Date) },
    ]);
  });

  test('a user named by id or by e-mail in any case is reported, connected or not', async () => {
    const [lee] = await sql`select id::text as id from users where email = 'Lee@Example.com'`;
    const { users, healthy } = await report({ users: [lee?.id, 'OTHER7@example.com'] });
    expect(users.map(({ email, status }) => [email, status])).toEqual([
      ['Lee@Example.com', 'ok'],
      ['other7@example.com', 'never'],
    ]);
    expect(users[0]?.user_id).toBe(Number(lee?.id));
    expect(healthy).toBe(false);
  });

  test('a health report for a user that does not exist is rejected', async () => {
    await expect(report({ users: ['nobody@example.com'] })).rejects.toMatchObject({
      code: 'user_unknown',
      message: 'There is no user nobody@example.com in users.',
    });
  });

  test('the health report is not healthy while the update of a meeting has failed', async () => {
    await sql`insert into calendly_pending_events (account_id, calendly_uri, kind, run_id, error)
      select min(id), 'https://api.calendly.com/scheduled_events/1', 'changed', 1, 'HTTP 500' from calendly_accounts`;
    const { healthy, users } = await report();
    expect(healthy).toBe(false);
    expect(users[0]?.problems).toMatchObject([{ code: 'meetings_waiting' }]);
    await sql`delete from calendly_pending_events`;
  });

  test('a sync whose process is dead is reported as crashed, one that is running is not', async () => {
    const { ownIdentity } = await import('../../src/process-identity.js');
    const state = async () => {
      const { users } = await report({ users: ['dana@example.com'] });
      return { syncing: users[0]?.syncing, codes: users[0]?.problems.map(({ code }) => code) };
    };
    const lease = (owner: object) => sql`
      insert into calendly_leases (account_id, lease_owner, lease_until)
      select calendly_accounts.id, ${JSON.stringify(owner)}, now() + interval '1 minute'
      from calendly_accounts join users on users.id = user_id where users.email = 'dana@example.com'
      on conflict (account_id) do update set lease_owner = excluded.lease_owner, lease_until = excluded.lease_until`;
    await sql`insert into calendly_sync_runs (account_id, user_id, mode)
      select id, user_id, 'incremental' from calendly_accounts
      where user_id = (select id from users where email = 'dana@example.com')`;
    await lease(ownIdentity());
    expect(await state()).toEqual({ syncing: true, codes: [] });
    await lease({ ...ownIdentity(), started: '1' });
    expect(await state()).toEqual({ syncing: false, codes: ['sync_crashed'] });
    await sql`delete from calendly_sync_runs`;
    await sql`update calendly_leases set lease_owner = null, lease_until = null`;
  });

  test('without any account the health report says how to connect one', async () => {
    const empty = await opened();
    try {
      expect(await empty.report()).toMatchObject({
        healthy: false,
        users: [],
        problems: [{ code: 'no_account', hint: expect.stringContaining('calendly-sync sync') }],
      });
    } finally {
      await empty.database.close();
    }
  });
});

describe('the health report of a database without all migrations', () => {
  test('without migration 022 the health report shows the users and names the migration', async () => {
    const { sql, database, report } = await opened();
    const { rollback } = await import('../../src/migrations/rollback.js');
    await rollback(database, { backup: null });
    await sql.unsafe(`
      insert into users (email) values ('dana@example.com');
      insert into calendly_accounts (user_id, calendly_uri, last_full_listing_at) select id, 'u', now() from users;
      insert into calendly_sync_runs (account_id, user_id, mode, status, finished_at)
        select id, user_id, 'full', 'complete', now() from calendly_accounts;
      insert into meetings (user_id, external_id) select id, 'event' from users;`);
    const { healthy, users, problems, migrations } = await report();
    expect(healthy).toBe(false);
    expect(migrations.pending.map(({ version }) => version)).toEqual(['022']);
    expect(problems).toMatchObject([{ code: 'migrations_pending', hint: 'calendly-sync migrate' }]);
    expect(users).toMatchObject([
      {
        status: 'ok',
        active_calendly_meetings: 1,
        calendly_initial_sync_complete: null,
        last_calendly_sync: expect.any(Date),
      },
    ]);
    await database.close();
  });

  test('without any migration the health report is rejected', async () => {
    const { database, report } = await opened('empty');
    await expect(report()).rejects.toMatchObject({ code: 'schema_not_ready' });
    await database.close();
  });
});

test('a program gets the same webhook problems as the command, and none from Calendly when offline', async () => {
  const { database, client, sandbox, token, accountId } = await connectedAccount();
  const wanted = { url: 'https://hooks.example.com/hook', scope: 'user' as const, signingKey: KEY };
  const { subscription } = await subscribe({ database, client, accountId }, wanted);
  sandbox.control.disableSubscription({ subscription: subscription.uri });
  const config = { calendlyToken: token, calendlyApiUrl: sandbox.url, webhookSigningKeys: [] };
  const requests: string[] = [];
  const report = (offline: boolean) =>
    healthReport({
      database,
      config,
      maxAgeMs: DAY_MS,
      offline,
      onAttempt: ({ path }) => requests.push(path),
    });
  const offline = await report(true);
  expect(offline.problems).toMatchObject([{ code: 'webhook_key_differs' }]);
  expect([offline.webhook_subscriptions, requests]).toEqual([[], []]);
  const { problems, webhook_subscriptions } = await report(false);
  expect(problems).toMatchObject([{ code: 'webhook_key_differs' }, { code: 'webhook_disabled' }]);
  expect(webhook_subscriptions).toMatchObject([{ uri: subscription.uri, state: 'disabled', ours: true }]);
  expect(requests.length).toBeGreaterThan(0);
});

/** Counts and ids as text: bigint comes as text from the driver. */
function comparable(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value;
}
