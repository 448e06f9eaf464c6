/** The examples for job engines, each with the double start that its engine can produce. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connectAccount } from '../../src/accounts/connect.js';
import { openServer } from '../../src/database/connection.js';
import type { Sandbox } from '../../src/sandbox/sandbox.js';
import { testDatabase } from '../support/database.js';
import { KEY_A, oauthConfig } from '../support/oauth-account.js';
import { calendlySync } from '../support/program.js';
import { testSandbox } from '../support/sandbox.js';

const folder = join(import.meta.dirname, '../../examples/engines');
const ACCOUNTS = 6;

/** Connected accounts, none of them synced yet. */
async function setUp() {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 3, hosts: ACCOUNTS, latency: 20 });
  const database = openServer(url);
  onTestFinished(() => database.close());
  const config = oauthConfig(sandbox.url, sandbox.client);
  for (const { token: personalToken } of sandbox.hosts)
    await connectAccount({ database, config, tokens: { personalToken } });
  const settings = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_AUTH_URL: sandbox.url,
    CALENDLY_CLIENT_ID: sandbox.client.client_id,
    CALENDLY_CLIENT_SECRET: sandbox.client.client_secret,
    CALENDLY_SYNC_KEY: KEY_A,
  };
  return { url, sql, sandbox, settings };
}

/** Runs an example as a process, until it has printed `lines` lines. */
async function runExample(name: string, settings: Record<string, string>, lines = 1) {
  const child = spawn(process.execPath, [join(folder, name)], {
    env: {
      PATH: process.env.PATH,
      CALENDLY_SYNC_TEST_PACE: process.env.CALENDLY_SYNC_TEST_PACE,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data;
  });
  const results = () => output.split('\n').filter((line) => line.startsWith('{"complete"'));
  await expect.poll(() => results().length, { timeout: 40_000 }).toBeGreaterThanOrEqual(lines);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, ended, results: () => results().map((line) => JSON.parse(line)) };
}

/** Complete listings per user: more than one means that an account was synced twice. */
function listings(sandbox: Sandbox): number[] {
  const perUser = new Map<string, number>();
  for (const { path, query, user } of sandbox.requests()) {
    const isFirstPage = path === '/scheduled_events' && !query.includes('page_token');
    if (isFirstPage && user) perUser.set(user, (perUser.get(user) ?? 0) + 1);
  }
  return [...perUser.values()];
}

async function expectSynced(sql: Awaited<ReturnType<typeof testDatabase>>['sql'], sandbox: Sandbox) {
  expect(
    await sql`select count(*)::integer as users from users where calendly_initial_sync_complete`,
  ).toEqual([{ users: ACCOUNTS }]);
  expect(listings(sandbox)).toEqual(Array(ACCOUNTS).fill(1));
}

const ENGINES = [
  {
    name: 'pg-boss.mjs',
    // What pg-boss does to a job that is active for longer than its expiry.
    takeForDead: "update pgboss.job set state = 'retry', start_after = now() where state = 'active'",
  },
  {
    name: 'graphile-worker.mjs',
    takeForDead: 'update graphile_worker._private_jobs set locked_at = null, locked_by = null',
  },
];

test.each(ENGINES)(
  'two workers of the example $name that start at once sync each account once',
  async ({ name }) => {
    const { sql, sandbox, settings } = await setUp();
    const workers = await Promise.all([runExample(name, settings, 0), runExample(name, settings, 0)]);
    await expect.poll(() => sumOf(workers), { timeout: 40_000 }).toBe(ACCOUNTS);
    await expectSynced(sql, sandbox);
    for (const { child, ended } of workers) {
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
    }
  },
);

test.each(ENGINES)(
  'a job of the example $name that runs twice because its worker was frozen syncs each account once',
  async ({ name, takeForDead }) => {
    const { sql, sandbox, settings } = await setUp();
    const frozen = await runExample(name, settings, 0);
    const stop = sandbox.onRequest(
      ({ path }) => path === '/scheduled_events' && frozen.child.kill('SIGSTOP'),
    );
    await expect.poll(() => listings(sandbox).length, { timeout: 40_000 }).toBeGreaterThan(0);
    stop();
    await sql.unsafe(takeForDead);
    const second = await runExample(name, settings);
    frozen.child.kill('SIGCONT');
    await expect.poll(() => sumOf([frozen, second]), { timeout: 40_000 }).toBe(ACCOUNTS);
    await expectSynced(sql, sandbox);
  },
);

/** How many accounts were synced. */
function sumOf(workers: Awaited<ReturnType<typeof runExample>>[]): number {
  return workers.flatMap(({ results }) => results()).reduce((sum, { complete }) => sum + complete, 0);
}

test('the serverless cron refuses strangers, and two starts at once sync each account once', async () => {
  const { sql, sandbox, settings } = await setUp();
  Object.assign(process.env, settings, { CRON_SECRET: 'cron-secret' });
  const { GET } = await import(join(folder, 'serverless-cron.mjs'));
  for (const name of [...Object.keys(settings), 'CRON_SECRET'])
    onTestFinished(() => void delete process.env[name]);
  expect((await GET(new Request('https://app.example.com/'))).status).toBe(401);
  const call = () =>
    GET(new Request('https://app.example.com/', { headers: { authorization: 'Bearer cron-secret' } }));
  const answers: { complete: number; failed: number }[] = await Promise.all(
    (await Promise.all([call(), call()])).map((response) => response.json()),
  );
  expect(answers.map(({ failed }) => failed)).toEqual([0, 0]);
  expect(answers.reduce((sum, { complete }) => sum + complete, 0)).toBe(ACCOUNTS);
  await expectSynced(sql, sandbox);
});

test.each(['crontab', 'kubernetes-cronjob.yaml', 'calendly-sync.service'])(
  'the command in the example %s syncs every account, also when it is started twice',
  async (name) => {
    const { sql, sandbox, settings } = await setUp();
    const text = readFileSync(join(folder, name), 'utf8').replace(/^#.*$/gm, '');
    const argv = /calendly-sync(?:\.js)?[\s,]+(sync\b[^\]\n]*)/.exec(text)?.[1]?.split(/[\s,]+/) ?? [];
    expect(argv[0]).toBe('sync');
    // A service stays: here it ends after one round.
    const once = argv.includes('--every') ? [...argv, '--for', '3s'] : argv;
    const ended = await Promise.all([calendlySync(once, settings), calendlySync(once, settings)]);
    for (const { code } of ended) expect([0, 75]).toContain(code);
    await expectSynced(sql, sandbox);
  },
);

test('the example with tokens of the application refreshes each of them once, and stores none here', async () => {
  const { url, sql } = await testDatabase();
  const sandbox = await testSandbox({ events: 2, hosts: 3 });
  await sql`
    create table calendar_connections (user_id bigint primary key, access_token text, refresh_token text, expires_at timestamptz)`;
  for (const [index, { email }] of sandbox.hosts.entries()) {
    const { pair } = sandbox.control.grant({ host: index });
    const [user] = await sql`insert into users (email) values (${email}) returning id`;
    await sql`
      insert into calendar_connections values (${user?.id}, ${pair.access_token}, ${pair.refresh_token}, now())`;
  }
  const settings = {
    DATABASE_URL: url,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_AUTH_URL: sandbox.url,
    CALENDLY_CLIENT_ID: sandbox.client.client_id,
    CALENDLY_CLIENT_SECRET: sandbox.client.client_secret,
  };
  const argv = ['sync', '--tokens', join(folder, 'tokens-from-your-table.mjs'), '--json'];
  const all = await Promise.all([calendlySync(argv, settings), calendlySync(argv, settings)]);
  for (const { code, stderr } of all)
    expect([code, stderr]).toEqual([expect.toBeOneOf([0, 75]), expect.anything()]);
  const refreshes = sandbox.requests().filter(({ path }) => path === '/oauth/token');
  expect(refreshes.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await sql`select count(*)::integer as meetings from meetings`).not.toEqual([{ meetings: 0 }]);
  expect(await sql`select from calendly_tokens`).toHaveLength(0);
});

test('every file in the folder of engines is tested', () => {
  expect(readdirSync(folder).sort()).toEqual([
    'calendly-sync.service',
    'crontab',
    'graphile-worker.mjs',
    'kubernetes-cronjob.yaml',
    'pg-boss.mjs',
    'serverless-cron.mjs',
    'tokens-from-your-table.mjs',
  ]);
});
