/** A host's tables that others can read, and tools that may drop ours. */
import { expect, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { healthReport } from '../../../src/health/report.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { testDatabase } from '../../support/database.js';
import { createApiRoles } from '../../support/hosts.js';

const NO_CALENDLY = { calendlyToken: null, calendlyApiUrl: 'http://127.0.0.1:9', webhookSigningKeys: [] };

test("health names a host's meetings that the roles of an API can read, and warns of an ORM", async () => {
  const { url, sql } = await testDatabase('empty');
  await createApiRoles(sql);
  await sql.unsafe(`
    create table users (id serial primary key, email text);
    create table meetings (id serial primary key, title text);
    create table _prisma_migrations (id text);`);
  const database = openServer(url);
  await migrate(database);
  const report = () => healthReport({ database, config: NO_CALENDLY, maxAgeMs: 86_400_000 });
  const { healthy, problems, warnings } = await report();
  expect(healthy).toBe(false);
  expect(problems).toContainEqual({
    code: 'meetings_open',
    message: 'anon, authenticated can read meetings: names, e-mails and join links of every guest.',
    hint: expect.stringContaining('revoke all on meetings from anon, authenticated;'),
  });
  expect(warnings).toMatchObject([
    { code: 'orm_tables', message: expect.stringContaining('_prisma_migrations') },
  ]);
  await sql.unsafe('alter table meetings enable row level security');
  expect((await report()).problems.map(({ code }) => code)).not.toContain('meetings_open');
  await database.close();
});
