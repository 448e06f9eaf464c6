/** Many accounts: the hosts of a sandbox, connected to a test database with stored tokens. */
import { onTestFinished } from 'vitest';
import { connectAccount } from '../../src/accounts/connect.js';
import { defaultConfig } from '../../src/config.js';
import { openServer } from '../../src/database/connection.js';
import type { SandboxOptions } from '../../src/sandbox/sandbox.js';
import type { AccountsOptions } from '../../src/sync/accounts-setup.js';
import { testDatabase } from './database.js';
import { testSandbox } from './sandbox.js';

const SYNC_KEY = Buffer.alloc(32, 7).toString('base64');

/** @param through a function that gives the URL of a pooler in front of a database */
export async function connectedAccounts(
  sandboxOptions: SandboxOptions & { hosts: number },
  through: (url: string) => Promise<string> = async (url) => url,
) {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ rateLimit: 50_000, ...sandboxOptions });
  const databaseUrl = await through(url);
  const database = openServer(databaseUrl, { max: 6 });
  onTestFinished(() => database.close());
  const config = { ...defaultConfig(), calendlyApiUrl: sandbox.url, syncKeys: [SYNC_KEY] };
  for (const { token } of sandbox.hosts)
    await connectAccount({ database, config, tokens: { personalToken: token } });
  sandbox.resetLog();
  const options: AccountsOptions = { database, config, timing: { retryPauseMs: 5, timeoutMs: 2_000 } };
  const settings = { DATABASE_URL: databaseUrl, CALENDLY_API_URL: sandbox.url, CALENDLY_SYNC_KEY: SYNC_KEY };
  return { url, sql, sandbox, database, config, options, settings };
}
