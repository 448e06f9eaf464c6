/** `verify`: what the database and Calendly disagree about is named, and nothing is written. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { verify } from '../../src/sync/verify.js';
import { runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { syncing } from '../support/sync.js';

async function synced(events: number) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events, rateLimit: 50_000 });
  const run = syncing(sandbox, url);
  await run();
  const database = openServer(url);
  onTestFinished(() => database.close());
  const config = { calendlyToken: sandbox.hosts[0]?.token ?? '', calendlyApiUrl: sandbox.url };
  return { url, sql, sandbox, run, check: (sample = 100) => verify({ config, database, sample }) };
}

test('after a sync there are no differences, for one request a page and one for each sampled meeting', async () => {
  const { check } = await synced(150);
  const result = await check(10);
  expect(result).toMatchObject({
    meetings: 150,
    sampled: 10,
    differences: [],
    differences_count: 0,
    requests: 12,
  });
});

test('every difference is named by its URI and columns, and nothing is written', async () => {
  const { url, sql, sandbox, run, check } = await synced(0);
  const { control } = sandbox;
  const [renamed, deleted, stale, removed] = ['+1d', '+2d', '+3d', '+4d'].map((start) =>
    control.book({ start, created: '-1d' }),
  );
  await run();
  // The digests still say that nothing has changed.
  await sql`update meetings set title = 'Other' where calendly_uri = ${renamed?.event.uri ?? ''}`;
  control.delete({ event: deleted?.event.uri ?? '' });
  await sql`update meeting_invitees set name = 'Other', raw = raw || '{"name": "Other"}'
    where meeting_id = (select id from meetings where calendly_uri = ${stale?.event.uri ?? ''})`;
  await sql`delete from meeting_invitees
    where meeting_id = (select id from meetings where calendly_uri = ${removed?.event.uri ?? ''})`;
  const { event: booked } = control.book({ start: '+5d' });
  const rows = () => sql`select md5(string_agg(m::text || i::text, '' order by i.id)) as rows
    from meetings m join meeting_invitees i on i.meeting_id = m.id`;
  const before = await rows();
  const { differences, differences_count } = await check();
  expect(differences_count).toBe(5);
  expect(differences).toEqual(
    expect.arrayContaining([
      { uri: renamed?.event.uri, kind: 'differs', columns: ['title'] },
      { uri: deleted?.event.uri, kind: 'extra', columns: [] },
      { uri: stale?.invitees[0]?.uri, kind: 'differs', columns: ['name', 'raw'] },
      { uri: removed?.invitees[0]?.uri, kind: 'missing', columns: [] },
      { uri: booked.uri, kind: 'missing', columns: [] },
    ]),
  );
  expect(await rows()).toEqual(before);
  const { code, document } = await runJson(['verify'], settingsOf(sandbox, url));
  expect([code, document.differences_count]).toEqual([4, 5]);
  await run();
});
