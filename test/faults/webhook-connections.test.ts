/** Connections to the database that are swallowed or cut, or that lead to a server that is no longer the primary. */
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';
import { startFaultyProxy } from '../support/faulty-proxy.js';
import { start } from '../support/program.js';
import { booking, HOST, KEY, receiving, signedRequest } from '../support/webhooks.js';

const HEALTHZ = 'http://receiver.test/healthz';

async function connected() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  return { url, sql };
}

/** A receiver behind a proxy, like that of `webhook serve`, with several connections open. */
async function behindProxy(url: string) {
  const proxy = await startFaultyProxy(url);
  const database = openServer(proxy.url, { prepare: true, max: 6 });
  const receiver = receiving(proxy.url, { database });
  const answers = Array.from({ length: 3 }, () => database.transaction((sql) => sql`select pg_sleep(0.1)`));
  await Promise.all(answers);
  const status = async (id: string) => (await receiver.post(booking(id))).status;
  expect(await status('BEFORE')).toBe(200);
  return { ...receiver, proxy, status };
}

test('connections that are swallowed are replaced after the deadline of a transaction, and healthz recovers', async () => {
  const { url, sql } = await connected();
  const { handler, proxy, status } = await behindProxy(url);
  proxy.swallow();
  const started = performance.now();
  expect(await status('SWALLOWED')).toBe(503);
  expect(performance.now() - started).toBeLessThan(11_500);
  expect(await status('SWALLOWED')).toBe(200);
  expect((await handler(new Request(HEALTHZ))).status).toBe(200);
  const ledger = await sql`select event_id from calendly_webhook_events`;
  expect(ledger).toHaveLength(2);
}, 30_000);

test('a probe that is swallowed replaces the connections, and the next delivery is stored', async () => {
  const { url } = await connected();
  const { handler, proxy, status } = await behindProxy(url);
  proxy.swallow();
  expect((await handler(new Request(HEALTHZ))).status).toBe(503);
  expect(await status('AFTER')).toBe(200);
}, 20_000);

test('a connection that is cut in the middle of a transaction costs no delivery: it is repeated in a new one', async () => {
  const { url, sql } = await connected();
  const { proxy, status } = await behindProxy(url);
  proxy.swallowAt('commit\0');
  const answer = status('CUT');
  await expect.poll(proxy.trapped).toBe(true);
  proxy.cut();
  expect(await answer).toBe(200);
  const ledger = await sql`select from calendly_webhook_events where invitee_uri like '%/GCUT'`;
  expect(ledger).toHaveLength(1);
});

test('after a failover the old server refuses writes: the delivery is stored through a new connection', async () => {
  const { url, sql } = await connected();
  const name = new URL(url).pathname.slice(1);
  await sql`alter database ${sql(name)} set default_transaction_read_only = on`;
  const { handler, post } = receiving(url);
  const status = async (id: string) => (await post(booking(id))).status;
  expect(await status('READ_ONLY')).toBe(503);
  const health = await handler.admin(new Request(HEALTHZ));
  expect([health.status, await health.json()]).toEqual([
    503,
    { ok: false, database: 'read_only', draining: false },
  ]);
  await expect.poll(() => status('STILL')).toBe(503);
  // From here on only new connections lead to a server that accepts writes.
  await sql`alter database ${sql(name)} reset default_transaction_read_only`;
  expect(await status('WRITABLE')).toBe(200);
  await expect.poll(async () => (await handler(new Request(HEALTHZ))).status, { timeout: 5_000 }).toBe(200);
});

test('a connection is replaced before its next use when it is too old', async () => {
  const { url } = await connected();
  const database = openServer(url, { max: 1, maxAgeMs: 200 });
  onTestFinished(() => database.close());
  const pid = () =>
    database.transaction((sql) => sql`select pg_backend_pid() as pid`).then(([row]) => row?.pid);
  const first = await pid();
  expect(await pid()).toBe(first);
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(await pid()).not.toBe(first);
});

test('SIGTERM ends a receiver whose connections are swallowed within 25 s with 75', async () => {
  const { url } = await connected();
  const proxy = await startFaultyProxy(url);
  const { child, ended, output } = start(['webhook', 'serve', '--port', '0'], {
    DATABASE_URL: proxy.url,
    CALENDLY_WEBHOOK_SIGNING_KEY: KEY,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const log = () => output().stderr + output().stdout;
  await expect.poll(log, { timeout: 10_000 }).toContain('Listening on');
  const [, base = ''] = /Listening on (\S+)/.exec(log()) ?? [];
  const deliver = (id: string) => {
    const body = JSON.stringify(booking(id));
    const { headers } = signedRequest(body);
    return fetch(base, { method: 'POST', body, headers }).then(({ status }) => status);
  };
  expect(await deliver('BEFORE')).toBe(200);
  // It makes its account due in a transaction of its own: a connection that is in use makes the next one open another.
  await new Promise((resolve) => setTimeout(resolve, 500));
  proxy.swallow();
  const lost = deliver('LOST');
  await new Promise((resolve) => setTimeout(resolve, 200));
  child.kill('SIGTERM');
  const begun = performance.now();
  expect((await ended).code).toBe(75);
  expect(performance.now() - begun).toBeLessThan(25_000);
  expect(await lost).toBe(503);
}, 40_000);
