/** Connects a Calendly account of a sandbox to a user of a test database. */
import type postgres from 'postgres';
import { onTestFinished } from 'vitest';
import { resolveAccount } from '../../src/accounts/resolve.js';
import { createCalendlyClient } from '../../src/calendly/client.js';
import { openServer } from '../../src/database/connection.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { testDatabase } from './database.js';
import { testSandbox } from './sandbox.js';

/** A database and a sandbox. */
interface Environment {
  url: string;
  sql: postgres.Sql;
  sandbox: Sandbox;
}

/** Connects a host of a new sandbox on a new database, or of an existing pair of both. */
export async function connectedAccount(host = 0, existing?: Environment) {
  const { url, sql, sandbox } = existing ?? {
    ...(await testDatabase()),
    sandbox: await testSandbox({ events: 0 }),
  };
  const database = openServer(url);
  onTestFinished(() => database.close());
  const token = sandbox.hosts[host]?.token ?? '';
  const client = createCalendlyClient({ baseUrl: sandbox.url, token, retryPauseMs: 5 });
  const { account } = await resolveAccount(database, client, token, { named: [], write: true });
  return { url, sql, database, sandbox, token, client, accountId: account?.id ?? '' };
}
