/** The rules of the merge in whole syncs, against the sandbox and a real database. */
import { expect, test } from 'vitest';
import { testDatabase } from '../../support/database.js';
import { testSandbox } from '../../support/sandbox.js';
import { syncing } from '../../support/sync.js';
import { expectTruth } from '../../support/truth.js';
import { delivery, receiving } from '../../support/webhooks.js';

test('a meeting that was reassigned to a colleague is marked once, and costs no further requests', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, hosts: 2 });
  const run = syncing(sandbox, url);
  const { event } = sandbox.control.book({ host: 0 });
  sandbox.control.book({ host: 0 });
  await run();
  sandbox.control.reassign({ event: event.uri, to: 1 });
  expect((await run()).user).toMatchObject({ status: 'complete', deleted: 1, requests: 2 });
  const [row] = await sql`select is_deleted, deleted_reason from meetings where calendly_uri = ${event.uri}`;
  expect(row).toEqual({ is_deleted: true, deleted_reason: 'reassigned' });
  expect((await run()).user).toMatchObject({ unchanged: 1, requests: 1 });
  sandbox.control.reassign({ event: event.uri, to: 0 });
  expect((await run()).user).toMatchObject({ restored: 1, deleted: 0 });
  await expectTruth(sql, sandbox);
});

test('an answer with fewer invitees than the event has deletes none, and is read again', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const run = syncing(sandbox, url);
  const { event } = sandbox.control.book({ host: 0, limit: 5, invitees: 2 });
  await run();
  // The listing is ahead of the invitees.
  const invitees_counter = { total: 3, active: 3, limit: 5 };
  sandbox.control.edit({ event: event.uri, set: { invitees_counter } });
  await sql`insert into meeting_invitees (meeting_id, calendly_uri, email)
    select id, ${`${event.uri}/invitees/STORED`}, 'kept@example.com' from meetings`;
  for (let time = 0; time < 2; time++) expect((await run()).user.invitees.events_read).toBe(1);
  expect(await sql`select from meeting_invitees`).toHaveLength(3);
  sandbox.control.edit({ event: event.uri, set: { invitees_counter: { total: 2, active: 2, limit: 5 } } });
  await run();
  await expectTruth(sql, sandbox);
  expect((await run()).user.requests).toBe(1);
});

test('a row that is ahead of Calendly is corrected ten minutes after it was written', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const run = syncing(sandbox, url);
  const { event, invitees } = sandbox.control.book({ host: 0 });
  await run();
  const forged = { ...event, name: 'Forged', updated_at: '2099-01-01T00:00:00.000000Z' };
  const { post } = receiving(url);
  expect((await post(delivery('invitee.created', { ...invitees[0] }, forged))).status).toBe(200);
  expect(await sql`select title from meetings`).toEqual([{ title: 'Forged' }]);
  expect((await run()).user).toMatchObject({ updated: 0, unchanged: 1 });
  await sql`update calendly_events set written_at = now() - interval '11 minutes'`;
  expect((await run()).user).toMatchObject({ updated: 1 });
  await expectTruth(sql, sandbox);
});
