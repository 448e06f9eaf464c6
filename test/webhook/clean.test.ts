import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { cleanWebhookEvents } from '../../src/webhook/clean.js';
import { testDatabase } from '../support/database.js';

const DAY_MS = 86_400_000;

describe('cleaning webhook events', () => {
  let sql: Awaited<ReturnType<typeof testDatabase>>['sql'];
  let url: string;
  let database: Database;

  beforeAll(async () => {
    ({ sql, url } = await testDatabase());
    database = openServer(url);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await sql.unsafe(`
      delete from calendly_webhook_events;
      insert into calendly_webhook_events (event_id, event_type, payload, created_at, processed_at, signature_verified)
      select 'e' || n, 'invitee.created', '{}', now() - n * interval '1 day', case when n % 4 > 0 then now() end, true
      from generate_series(1, 100) n;`);
  });
  const remaining = async () =>
    (await sql`select count(*)::integer as count from calendly_webhook_events`)[0]?.count;
  // One day off the mark, so that no event lies on it.
  const olderThanMs = 30.5 * DAY_MS;

  test('cleaning deletes old processed webhook events in batches and returns their number', async () => {
    const batches: number[] = [];
    const result = await cleanWebhookEvents({
      database,
      olderThanMs,
      batchSize: 20,
      onProgress: (deleted) => batches.push(deleted),
    });
    expect(result).toMatchObject({ deleted: 52, unprocessed_kept: 18 });
    expect(batches).toEqual([20, 40, 52]);
    expect(await remaining()).toBe(48);
    const [oldest] = await sql`select max(now() - created_at) > interval '99 days' as kept,
      bool_and(processed_at is null) filter (where created_at < ${result.before}) as unprocessed
      from calendly_webhook_events`;
    expect(oldest).toEqual({ kept: true, unprocessed: true });
  });

  test('cleaning deletes unprocessed webhook events only on request', async () => {
    const result = await cleanWebhookEvents({ database, olderThanMs, includeUnprocessed: true });
    expect(result).toMatchObject({ deleted: 70, unprocessed_kept: 0 });
    expect(await remaining()).toBe(30);
  });

  test('a dry run of cleaning deletes nothing and returns the number that a real run would delete', async () => {
    const result = await cleanWebhookEvents({ database, olderThanMs, dryRun: true });
    expect(result).toMatchObject({ deleted: 52, unprocessed_kept: 18 });
    expect(await remaining()).toBe(100);
  });

  test('cleaning deletes nothing if no webhook event is that old', async () => {
    const result = await cleanWebhookEvents({ database, olderThanMs: 999_999_999 * DAY_MS });
    expect(result.deleted).toBe(0);
  });

  test('cleaning does not wait for a row that a receiver has locked', async () => {
    const result = await sql.begin(async (receiver) => {
      await receiver`select 1 from calendly_webhook_events where event_id = 'e99' for update`;
      return cleanWebhookEvents({ database, olderThanMs });
    });
    expect(result.deleted).toBe(51);
    expect(await sql`select event_id from calendly_webhook_events where event_id = 'e99'`).toHaveLength(1);
  });

  test('cleaning that is aborted stops after a batch and reports how many events it has deleted', async () => {
    const stop = new AbortController();
    const stopped = cleanWebhookEvents({
      database,
      olderThanMs,
      batchSize: 20,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'stopped', message: expect.stringContaining('20') });
    expect(await remaining()).toBe(80);
  });

  test('cleaning without migration 022 is rejected, and names the migration', async () => {
    const other = openServer((await testDatabase()).url);
    const { rollback } = await import('../../src/migrations/rollback.js');
    await rollback(other, { backup: null });
    await expect(cleanWebhookEvents({ database: other, olderThanMs })).rejects.toMatchObject({
      code: 'schema_not_ready',
    });
    await other.close();
  });
});
