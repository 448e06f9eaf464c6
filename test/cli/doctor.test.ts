/** `doctor` against a real database, sandbox and receiver: one promise for each thing that it must notice. */
import { expect, test } from 'vitest';
import { connectedAccounts } from '../support/accounts.js';
import { runCli, runJson } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { makeRole } from '../support/roles.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';

interface Check {
  check: string;
  status: string;
  looked_at: string;
  message: string;
  hint: string | null;
}

async function examine(settings: Record<string, string>, ...argv: string[]) {
  const { code, document } = await runJson(['doctor', ...argv], settings);
  const checks: Check[] = document.checks;
  const of = (name: string) => checks.filter(({ check }) => check === name);
  return {
    code,
    of,
    names: checks.map(({ check }) => check),
    failed: checks.filter(({ status }) => status === 'failed'),
  };
}

test('doctor says of a setup that works what it looked at, and exits with 0', async () => {
  const sandbox = await testSandbox({ events: 3 });
  const { url } = await testDatabase();
  const settings = settingsOf(sandbox, url);
  expect((await runCli(['sync'], settings)).code).toBe(0);
  const { code, of, names, failed } = await examine(settings);
  expect(failed).toEqual([]);
  expect(code).toBe(0);
  expect(names).toEqual([
    ...['node', 'settings', 'disk', 'database', 'clock', 'rights', 'schema', 'health', 'stored tokens'],
    ...['calendly', 'token', 'scopes', 'signing key'],
  ]);
  expect(of('database')[0]?.message).toMatch(/^Postgres 1\d.* as postgres, without TLS, \d+ ms$/);
  expect(of('settings')[0]?.message).toContain('CALENDLY_TOKEN (environment)');
  expect(of('health')[0]?.message).toMatch(/^1 account, last complete sync 20/);
  expect(of('calendly')[0]).toMatchObject({
    looked_at: sandbox.url,
    message: expect.stringContaining('clocks agree'),
  });
  expect(of('token')[0]?.message).toMatch(
    /^belongs to .+@example\.com; \d+ of \d+ requests left this minute$/,
  );
});

test('doctor --offline asks neither Calendly nor the receiver', async () => {
  const sandbox = await testSandbox({ events: 0 });
  const { url } = await testDatabase();
  const { names } = await examine(settingsOf(sandbox, url), '--offline');
  expect(names.at(-1)).toBe('stored tokens');
  expect(sandbox.requests()).toEqual([]);
});

test('doctor exits with 4 and names the fix of each thing that is wrong', async () => {
  const { url, sql, settings } = await connectedAccounts({ events: 0, hosts: 1 });
  const role = await makeRole(url);
  await sql.unsafe(`grant select on calendly_accounts, meetings to "${role.name}"`);
  const reader = await examine({ ...settings, DATABASE_URL: role.url }, '--offline');
  expect(reader.code).toBe(4);
  expect(reader.of('rights')[0]).toMatchObject({
    status: 'failed',
    message: expect.stringContaining('calendly_accounts'),
    hint: expect.stringContaining(`to "${role.name}"`),
  });

  await sql.unsafe('drop view calendly_sync_health');
  const { code, of } = await examine(
    {
      ...settings,
      CALENDLY_TOKEN: 'wrong',
      CALENDLY_SYNC_KEY: Buffer.alloc(32, 9).toString('base64'),
      CALENDLY_WEBHOOK_SIGNING_KEY: 'a-key-of-16-letters',
    },
    '--url',
    'http://127.0.0.1:9',
  );
  expect(code).toBe(4);
  expect(of('schema')[0]).toMatchObject({ status: 'failed', hint: 'calendly-sync migrate --status' });
  expect(of('stored tokens')[0]).toMatchObject({
    status: 'failed',
    hint: expect.stringContaining('CALENDLY_SYNC_KEY'),
  });
  expect(of('token')[0]).toMatchObject({ status: 'failed', message: expect.stringContaining('401') });
  expect(of('receiver')[0]).toMatchObject({
    status: 'failed',
    looked_at: expect.stringContaining(':9/api/calendly'),
  });
});

test('doctor goes on without a database, and without a Calendly that answers', async () => {
  const settings = { DATABASE_URL: 'postgres://127.0.0.1:9/x', CALENDLY_API_URL: 'http://127.0.0.1:9' };
  const { code, of } = await examine(settings);
  expect(code).toBe(4);
  expect(of('database')[0]?.message).toContain('127.0.0.1:9/x does not answer');
  expect(of('calendly')[0]?.message).toContain('ECONNREFUSED');
  const empty = await testDatabase('empty');
  expect((await examine({ DATABASE_URL: empty.url }, '--offline')).of('schema')[0]).toMatchObject({
    status: 'failed',
    hint: 'Run: calendly-sync migrate',
  });
});

test('doctor names the scope that a token lacks', async () => {
  const sandbox = await testSandbox({ events: 0 });
  const { url } = await testDatabase();
  const { token } = sandbox.control.grant({ scopes: ['users:read', 'webhooks:read'] });
  const { of } = await examine({ ...settingsOf(sandbox, url), CALENDLY_TOKEN: token });
  expect(of('scopes')[0]).toMatchObject({ status: 'failed', message: expect.stringMatching(/scope/i) });
});
