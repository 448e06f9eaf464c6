import { expect, test } from 'vitest';
import { runCli, runJson, startCli } from '../../support/cli.js';
import { testDatabase } from '../../support/database.js';
import { KEY_A, KEY_B } from '../../support/oauth-account.js';
import { testSandbox } from '../../support/sandbox.js';

async function setUp() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 3 });
  const settings = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_AUTH_URL: sandbox.url,
    CALENDLY_CLIENT_ID: sandbox.client.client_id,
    CALENDLY_CLIENT_SECRET: sandbox.client.client_secret,
    CALENDLY_SYNC_KEY: KEY_A,
  };
  return { sql, sandbox, settings };
}

test('`account connect` reads a token from stdin, and never shows it', async () => {
  const { sandbox, settings } = await setUp();
  const token = sandbox.hosts[0]?.token ?? '';
  const done = await runCli(['account', 'connect', '--token-stdin', '--verbose'], settings, {
    input: `${token}\n`,
  });
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('✅ Connected') });
  expect(done.stdout + done.stderr).not.toContain(token);
  const { document } = await runJson(['account', 'list'], settings);
  expect(document.accounts).toMatchObject([
    {
      user_id: 1,
      email: sandbox.hosts[0]?.email,
      state: 'active',
      kind: 'user',
      token: 'personal',
      failures: 0,
    },
  ]);
});

test('`account connect --oauth` shows an address, and takes the one that the browser ended on', async () => {
  const { sandbox, settings } = await setUp();
  const answer = await inBrowser(settings, (address) => address);
  expect(answer).toMatchObject({ code: 0, stdout: expect.stringContaining('✅ Connected') });
  const { document } = await runJson(['account', 'list'], settings);
  expect(document.accounts).toMatchObject([{ email: sandbox.hosts[0]?.email, token: 'oauth' }]);
});

test('an address of another authorization, and a refusal, connect nobody', async () => {
  const { settings } = await setUp();
  const other = await inBrowser(settings, (address) => address.replace(/state=[^&]+/, 'state=other'));
  expect(other).toMatchObject({ code: 2, stderr: expect.stringContaining('another authorization') });
  const refused = await inBrowser(settings, (address) =>
    address.replace(/code=[^&]+/, 'error=access_denied'),
  );
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('access_denied') });
  expect((await runJson(['account', 'list'], settings)).document.accounts).toEqual([]);
});

test('without a key or a terminal, `account connect` says what to do', async () => {
  const { settings } = await setUp();
  const noKey = await runCli(['account', 'connect', '--token-stdin'], { ...settings, CALENDLY_SYNC_KEY: '' });
  expect(noKey).toMatchObject({ code: 2, stderr: expect.stringContaining('randomBytes(32)') });
  const noTerminal = await runCli(['account', 'connect'], settings);
  expect(noTerminal).toMatchObject({ code: 2, stderr: expect.stringContaining('--token-stdin') });
  const badKey = await runCli(['account', 'list'], { ...settings, CALENDLY_SYNC_KEY: 'short-secret' });
  expect(badKey.code).toBe(2);
  expect(badKey.stderr).not.toContain('short-secret');
  const empty = await runCli(['account', 'connect', '--token-stdin'], settings);
  expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining('No token was given') });
});

test('a token that is typed on a terminal is not echoed', async () => {
  const { sandbox, settings } = await setUp();
  const token = sandbox.hosts[0]?.token ?? '';
  const { ended, shown, type } = startCli(['account', 'connect'], settings, { isTTY: true });
  await expect.poll(shown).toContain('Personal access token:');
  type(`${token}\r`);
  expect((await ended).code).toBe(0);
  expect(shown()).toContain('Connected');
  expect(shown()).not.toContain(token.slice(-12));
});

test('`account disconnect` and `account rekey` report what they did', async () => {
  const { sandbox, settings } = await setUp();
  const { pair } = sandbox.control.grant();
  const input = pair.refresh_token;
  expect((await runCli(['account', 'connect', '--refresh-token-stdin'], settings, { input })).code).toBe(0);
  const rotated = { ...settings, CALENDLY_SYNC_KEY: `${KEY_B},${KEY_A}` };
  expect((await runCli(['account', 'list'], rotated)).stderr).toContain(
    '1 account encrypted with an older key',
  );
  expect((await runJson(['account', 'rekey'], rotated)).document).toMatchObject({ ok: true, rekeyed: 1 });
  expect((await runJson(['account', 'list'], rotated)).document).toMatchObject({ older_keys: 0 });
  const user = sandbox.hosts[0]?.email ?? '';
  const { document } = await runJson(['account', 'disconnect', '--user', user], rotated);
  expect(document).toMatchObject({ ok: true, email: user, revoked: true, subscription: null, problems: [] });
  expect(await runCli(['account', 'disconnect', '--user', 'nobody'], settings)).toMatchObject({ code: 2 });
});

/** Connects as an operator does: opens the address, and pastes `edit` of the one that the browser ends on. */
async function inBrowser(settings: Record<string, string>, edit: (address: string) => string) {
  const argv = ['account', 'connect', '--oauth', '--redirect-uri', 'https://app.example.com/calendly'];
  const { ended, shown, type } = startCli(argv, settings);
  await expect.poll(shown).toContain('Paste the address');
  const response = await fetch(/^http\S+/m.exec(shown())?.[0] ?? '', { redirect: 'manual' });
  type(`${edit(response.headers.get('location') ?? '')}\n`);
  return ended;
}
