/** `sync --event`: one meeting, by the same steps and rules as a whole sync. */
import { expect, test } from 'vitest';
import { createTransport } from '../../src/calendly/transport.js';
import { testDatabase } from '../support/database.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';
import { expectTruth } from '../support/truth.js';

async function account() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 0, hosts: 2 });
  const run = syncing(sandbox, url);
  const { event } = sandbox.control.book({ created: '-1d', invitees: 4, limit: 5 });
  await run();
  return { sql, sandbox, run, uri: event.uri };
}

test('one meeting is named by its URI or its bare id, and its change is reported', async () => {
  const { sql, sandbox, run, uri } = await account();
  for (const [index, event] of [uri, uri.split('/').pop() ?? ''].entries()) {
    sandbox.control.edit({ event: uri, set: { name: `Name ${index}` } });
    const { user } = await run({ event });
    expect(user).toMatchObject({ status: 'complete', updated: 1, requests: 2, window: null });
    expect(user.changes).toMatchObject([{ uri, outcome: 'updated', after: { title: `Name ${index}` } }]);
  }
  await expectTruth(sql, sandbox);
  expect((await run()).user).toMatchObject({ requests: 1, unchanged: 1 });
});

test('a meeting that neither Calendly nor the database has is an error', async () => {
  const { run } = await account();
  const { user } = await run({ event: 'NO-SUCH-EVENT-1' });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_not_found' } });
});

test('a meeting that does not exist leaves the recorded state of the account as it is', async () => {
  const { sql, sandbox, run } = await account();
  const state = () => sql`
    select last_error_code, last_error, l.failures, l.lease_owner,
      (select count(*)::integer from calendly_sync_runs) as runs
    from calendly_accounts a join calendly_leases l on l.account_id = a.id`;
  const healthy = await state();
  expect(healthy).toMatchObject([{ last_error_code: null, failures: 0, lease_owner: null }]);
  await run({ event: 'NO-SUCH-EVENT-1' });
  expect(await state()).toEqual(healthy);
  sandbox.control.fail({ kind: 'status', status: 403, count: null, match: '/scheduled_events' });
  await run();
  sandbox.control.clearFaults();
  const failing = await state();
  expect(failing).toMatchObject([{ failures: 1 }]);
  await run({ event: 'NO-SUCH-EVENT-1' });
  expect(await state()).toEqual(failing);
});

test('a meeting that is not stored and that this user may not see is an error of the call, not of the account', async () => {
  const { sql, sandbox, run } = await account();
  const state = () => sql`
    select last_error_code, last_error_at, l.failures, l.lease_owner, u.last_calendly_sync,
      (select count(*)::integer from calendly_sync_runs) as runs
    from calendly_accounts a join calendly_leases l on l.account_id = a.id join users u on u.id = a.user_id`;
  const before = await state();
  sandbox.control.fail({
    kind: 'status',
    status: 403,
    count: null,
    match: '/scheduled_events/SOMEBODY-ELSES-1',
  });
  const { user } = await run({ event: 'SOMEBODY-ELSES-1' });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_forbidden' } });
  expect(await state()).toEqual(before);
});

test('a stored meeting that Calendly does not have any more is marked as gone', async () => {
  const { sql, sandbox, run, uri } = await account();
  sandbox.control.delete({ event: uri });
  expect((await run({ event: uri })).user).toMatchObject({ status: 'complete', deleted: 1 });
  expect(await sql`select deleted_reason from meetings`).toEqual([{ deleted_reason: 'gone' }]);
});

test('an answer with an invitee that has no URI deletes none, and fails', async () => {
  const { sql, sandbox, run, uri } = await account();
  const send = createTransport(new URL(sandbox.url));
  const { user } = await run({
    event: uri,
    transport: async (request) => {
      const answer = await send(request);
      if (!request.url.pathname.endsWith('/invitees')) return answer;
      const body = JSON.parse(answer.text) as { collection: { uri?: string }[] };
      for (const invitee of body.collection.slice(0, 1)) delete invitee.uri;
      return { ...answer, text: JSON.stringify(body) };
    },
  });
  expect(user).toMatchObject({ status: 'failed', error: { code: 'calendly_invalid_response' } });
  expect(await sql`select from meeting_invitees`).toHaveLength(4);
});

const INVALID = {
  'a URI of another host': { event: 'https://example.com/scheduled_events/X' },
  'a URI of another kind': { event: 'https://api.calendly.com/users/X' },
  'text that is neither URI nor id': { event: 'no such thing' },
  'a window besides': { event: 'X', since: 0 },
};

for (const [name, options] of Object.entries(INVALID)) {
  test(`one meeting cannot be named by ${name}`, async () => {
    const { run } = await account();
    await expect(run(options)).rejects.toMatchObject({ code: 'usage' });
  });
}
