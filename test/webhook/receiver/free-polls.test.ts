/** What deliveries have told completely costs the next poll nothing. */
import { expect, test } from 'vitest';
import { testDatabase } from '../../support/database.js';
import { testSandbox } from '../../support/sandbox.js';
import { syncing } from '../../support/sync.js';
import { expectTruth } from '../../support/truth.js';
import { delivery, type Loose, receiving } from '../../support/webhooks.js';

test('bookings and cancellations that deliveries have told completely cost a poll one request for the listing', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const run = syncing(sandbox, url);
  await run();
  const { post } = receiving(url);
  const tell = async (kind: string, uri: string) => {
    const found = sandbox.control.state().find(({ event }) => event.uri === uri);
    const { calendar_event: _calendar, ...event } = { ...found?.event } as Loose;
    for (const invitee of found?.invitees ?? []) await post(delivery(kind, invitee as Loose, event));
  };
  const booked = ['+1d', '+2d', '+3d'].map((start) => sandbox.control.book({ start }).event.uri);
  for (const uri of booked) await tell('invitee.created', uri);
  sandbox.control.cancel({ event: booked[0] ?? '' });
  await tell('invitee.canceled', booked[0] ?? '');
  expect((await run()).user).toMatchObject({ status: 'complete', requests: 1, invitees: { events_read: 0 } });
  await expectTruth(sql, sandbox);
  expect((await run()).user).toMatchObject({ unchanged: 3, requests: 1 });
});

test('a delivery of one invitee of several does not count as all of them', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0 });
  const run = syncing(sandbox, url);
  await run();
  const { post } = receiving(url);
  const { event, invitees } = sandbox.control.book({ start: '+1d', invitees: 3, limit: 5 });
  await post(delivery('invitee.created', invitees[0] as Loose, event as Loose));
  expect((await run()).user).toMatchObject({ requests: 2, invitees: { new: 2 } });
  await expectTruth(sql, sandbox);
});
