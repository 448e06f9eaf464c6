import { expect, test } from 'vitest';
import { connectAccount } from '../../src/accounts/connect.js';
import { openServer } from '../../src/database/connection.js';
import { eraseUser } from '../../src/privacy/erase-user.js';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { KEY_A, oauthConfig } from '../support/oauth-account.js';
import { testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

/** Two connected users who host a meeting together, both synced. */
async function setUp() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 4 });
  const database = openServer(url);
  sandbox.control.book({ host: 0, with: [1] });
  const config = oauthConfig(sandbox.url, sandbox.client);
  for (const host of [0, 1]) {
    const { pair } = sandbox.control.grant({ host });
    await connectAccount({ database, config, tokens: { refreshToken: pair.refresh_token } });
    await syncing(sandbox, url, host)();
  }
  const email = sandbox.hosts[1]?.email ?? '';
  const settings = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_AUTH_URL: sandbox.url,
    CALENDLY_CLIENT_ID: config.calendlyClientId,
    CALENDLY_CLIENT_SECRET: config.calendlyClientSecret,
    CALENDLY_SYNC_KEY: KEY_A,
  };
  return { url, sql, sandbox, database, config, email, settings };
}

test('erasing a user removes the account, the meetings and the name in the meetings of others', async () => {
  const { sql, sandbox, database, config, email, url } = await setUp();
  const counts = () =>
    sql`select user_id::integer as id, count(*)::integer as count from meetings group by 1 order by 1`;
  const before = await counts();
  expect(await eraseUser({ database, config, userId: email, dryRun: true })).toMatchObject({
    meetings: before[1]?.count,
    user: false,
  });
  expect(await counts()).toEqual(before);
  const done = await eraseUser({ database, config, userId: email });
  expect(done).toMatchObject({ meetings: before[1]?.count, kept: 0, user: true, problems: [] });
  expect(done.elsewhere).toMatchObject({ meetings: 1, left: [] });
  expect(await counts()).toEqual(before.slice(0, 1));
  for (const table of ['users', 'calendly_accounts', 'calendly_tokens', 'calendly_leases'])
    expect(await sql`select from ${sql(table)}`).toHaveLength(1);
  const text = JSON.stringify(await sql`select m::text from meetings m`);
  expect(text).not.toContain(email);
  // The other host's next syncs do not bring the name back.
  await syncing(sandbox, url)({ full: true, reread: true });
  expect(JSON.stringify(await sql`select m::text from meetings m`)).not.toContain(email);
  await database.close();
});

test('rows that the application wrote or refers to stay, without what Calendly said', async () => {
  const { sql, database, config, email } = await setUp();
  const [adopted, referred] = await sql`select id from meetings where user_id = 2 order by id limit 2`;
  await sql`update calendly_events set adopted = true where meeting_id = ${adopted?.id}`;
  await sql`create table notes (meeting_id bigint references meetings (id))`;
  await sql`insert into notes values (${referred?.id})`;
  await sql`comment on table users is 'of the application'`;
  const done = await eraseUser({ database, config, userId: email });
  expect(done).toMatchObject({ kept: 2, user: false });
  expect(done.elsewhere?.left).toEqual([{ table: 'users', rows: 1 }]);
  expect(await sql`select raw, location, canceled_by from meetings where user_id = 2`).toEqual(
    Array(2).fill({ raw: null, location: null, canceled_by: null }),
  );
  await database.close();
});

test('`erase --user` and `account disconnect --erase` need --yes without a terminal, and one of both names', async () => {
  const { sql, settings, email, sandbox, database } = await setUp();
  await database.close();
  expect(await runCli(['erase', '--user', email], settings)).toMatchObject({ code: 2 });
  expect(await runCli(['erase'], settings)).toMatchObject({ code: 2 });
  expect(await runCli(['erase', 'a@b.c', '--user', '1', '--yes'], settings)).toMatchObject({ code: 2 });
  expect(await sql`select from calendly_accounts`).toHaveLength(2);
  const { document } = await runJson(['erase', '--user', email, '--yes'], settings);
  expect(document).toMatchObject({ ok: true, email, user: true, problems: [] });
  const owner = sandbox.hosts[0]?.email ?? '';
  const ended = await runCli(['account', 'disconnect', '--user', owner, '--erase', '--yes'], settings);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining(`Removed ${owner}`) });
  for (const table of ['users', 'meetings', 'calendly_accounts', 'calendly_events'])
    expect(await sql`select from ${sql(table)}`).toHaveLength(0);
});
