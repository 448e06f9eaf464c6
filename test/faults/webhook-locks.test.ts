/** What other transactions hold delays the deliveries that need it, and no others. */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import { expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { healthReport } from '../../src/health/report.js';
import { testDatabase } from '../support/database.js';
import { startFaultyProxy } from '../support/faulty-proxy.js';
import { hold } from '../support/holding.js';
import { booking, cancellation, HOST, type Loose, receiving } from '../support/webhooks.js';

async function connected() {
  const { url, sql } = await testDatabase();
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
  return { url, sql };
}

const LOCK_ONE = `select from calendly_events where external_id = 'HELD' for update`;
const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => prefix + index);

/** The number of sessions of this database that wait for a lock, looked at until `running` settles. */
async function maxWaiting(sql: postgres.Sql, running: Promise<unknown>): Promise<number> {
  let [most, done] = [0, false];
  void running.finally(() => {
    done = true;
  });
  while (!done) {
    const [row] =
      await sql`select count(distinct pid)::int as n from pg_locks join pg_stat_activity using (pid)
      where not granted and datname = current_database()`;
    most = Math.max(most, row?.n);
    await delay(20);
  }
  return most;
}

test('the limits of a transaction, or of the session of a new booking, are set before its first statement', async () => {
  const { url, sql } = await connected();
  await sql.unsafe(`
    create table seen (settings text);
    create function see() returns trigger language plpgsql as $$ begin
      insert into seen select concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout'), current_setting('enable_seqscan'));
      return new; end $$;
    create trigger see before insert on calendly_webhook_events for each row execute function see()`);
  for (const prepare of [false, true]) {
    const statements: string[] = [];
    const database = openServer(url, { prepare, debug: (_, query) => statements.push(query.trim()) });
    const { post } = receiving(url, { database });
    for (const body of [booking(`ORDER${prepare}`), cancellation(`ORDER${prepare}`)])
      expect((await post(body)).status).toBe(200);
    // The transaction that makes the account due is another one.
    const own = statements.filter((query) => !query.includes('wake_at'));
    const limited = own.filter((query) => query.includes('lock_timeout'));
    expect(limited).toHaveLength(2);
    const transaction = /^begin .*; set local enable_seqscan = 'off'; set local lock_timeout/;
    // Where it prepares, the connection is direct: a new booking is one statement without BEGIN.
    const session =
      /^set default_transaction_isolation .*; set session enable_seqscan = 'off'; set session lock_timeout/;
    expect(limited[0]).toMatch(prepare ? session : transaction);
    expect(limited[1]).toMatch(transaction);
  }
  expect((await sql`select settings from seen`).map(({ settings }) => settings)).toEqual([
    '200ms 4s 5s off',
    '1s 8s 5s off',
    '200ms 4s 5s off',
    '1s 8s 5s off',
  ]);
  const [after] = await sql`select current_setting('lock_timeout') as lock_timeout`;
  expect(after).toEqual({ lock_timeout: '0' });
});

const statusOf = async (response: Response) => ((await response.json()) as Loose).status;
/** Resolves when `id` is canceled here. */
const canceled = (sql: postgres.Sql, id: string) =>
  expect
    .poll(async () => (await sql`select is_deleted from meetings where external_id = ${id}`)[0]?.is_deleted, {
      timeout: 15_000,
    })
    .toBe(true);

test('a delivery whose meeting is locked is stored, answered 200 and applied by the receiver once the lock is gone', async () => {
  const { url, sql } = await connected();
  const { post, events } = receiving(url);
  expect((await post(booking('HELD'))).status).toBe(200);
  const lock = await hold(url, LOCK_ONE);
  let heldIsAnswered = false;
  const held = post(cancellation('HELD')).finally(() => {
    heldIsAnswered = true;
  });
  const others = await Promise.all(names('FREE', 30).map((id) => post(booking(id))));
  expect(others.map(({ status }) => status)).toEqual(others.map(() => 200));
  expect(heldIsAnswered).toBe(false);
  const answer = await held;
  expect([answer.status, await statusOf(answer)]).toEqual([200, 'waiting']);
  // Calendly's own repeat finds it in the ledger.
  expect(await statusOf(await post(cancellation('HELD')))).toBe('duplicate');
  await lock.release();
  await canceled(sql, 'HELD');
  expect(events.filter(({ type }) => type === 'retried')).toHaveLength(1);
  const [ledger] =
    await sql`select count(*)::int as n, count(processed_at)::int as done, count(waits_for)::int as waiting
    from calendly_webhook_events`;
  expect(ledger).toEqual({ n: 32, done: 32, waiting: 0 });
});

test('health names the process, its application and the age of the transaction for which deliveries wait', async () => {
  const { url, sql } = await connected();
  const { post, database } = receiving(url);
  await post(booking('HELD'));
  const lock = await hold(url, LOCK_ONE, 'slow-report');
  expect(await statusOf(await post(cancellation('HELD')))).toBe('waiting');
  const holder = async () =>
    (await sql`select waits_for from calendly_webhook_events where waits_for <> 'a lock'`)[0];
  await expect.poll(holder, { timeout: 10_000 }).toBeDefined();
  const config = { calendlyToken: null, calendlyApiUrl: '', webhookSigningKeys: [] };
  const { problems } = await healthReport({ database, config, maxAgeMs: 60_000, offline: true });
  expect(problems.find(({ code }) => code === 'webhooks_waiting')?.message).toMatch(
    new RegExp(
      `^1 webhook event waiting for a lock, the first for .* s: process ${lock.pid} ` +
        '\\(slow-report, idle in transaction, transaction open for .* s\\)$',
    ),
  );
  await lock.release();
});

test('what a receiver that has ended left waiting is applied by the next one', async () => {
  const { url, sql } = await connected();
  const first = receiving(url);
  await first.post(booking('HELD'));
  const lock = await hold(url, LOCK_ONE);
  expect(await statusOf(await first.post(cancellation('HELD')))).toBe('waiting');
  await first.handler.close();
  receiving(url);
  await lock.release();
  await canceled(sql, 'HELD');
}, 20_000);

test('copies of one delivery wait in one transaction, and all are answered when it is stored', async () => {
  const { url, sql } = await connected();
  const { post } = receiving(url);
  await post(booking('HELD'));
  const lock = await hold(url, LOCK_ONE);
  const copies: Promise<Response>[] = [];
  for (let count = 0; count < 12; count++) {
    copies.push(post(cancellation('HELD')));
    await delay(30);
  }
  const others = Promise.all(names('FREE', 20).map((id) => post(booking(id))));
  expect(await maxWaiting(sql, others)).toBeLessThanOrEqual(1);
  expect((await others).every(({ status }) => status === 200)).toBe(true);
  await lock.release();
  const answers = await Promise.all(copies.map(async (copy) => (await copy).json() as Promise<Loose>));
  expect(answers.map(({ status }) => status)).toEqual(['applied', ...names('', 11).map(() => 'duplicate')]);
  const [ledger] = await sql`select count(*)::int as n from calendly_webhook_events`;
  expect(ledger).toEqual({ n: 22 });
});

/** Two hosts, and what makes a booking one of the second host. */
async function twoHosts() {
  const { url, sql } = await connected();
  const user = HOST.replace('HOST0001', 'HOST0002');
  await sql`insert into users (email) values ('other@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri)
    select id, ${user} from users where email = 'other@example.com'`;
  return {
    url,
    sql,
    other: { event_memberships: [{ user, user_email: 'other@example.com', user_name: 'Other' }] },
  };
}

test('while the row of one host is locked, deliveries of another host are stored', async () => {
  const { url, other } = await twoHosts();
  const { post } = receiving(url);
  const lock = await hold(url, `select from users where email = 'host@example.com' for update`);
  const held = names('HELD', 6).map((id) => post(booking(id)));
  for (const id of names('FREE', 30)) expect((await post(booking(id, other))).status).toBe(200);
  await lock.release();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual(held.map(() => 200));
}, 20_000);

test('a stream of deliveries of a locked host is stored, and does not delay those of another host', async () => {
  const { url, sql, other } = await twoHosts();
  const { post } = receiving(url);
  const lock = await hold(url, `select from users where email = 'host@example.com' for update`);
  const times: number[] = [];
  const timed = async (id: string) => {
    const started = performance.now();
    const { status } = await post(booking(id, other));
    times.push(performance.now() - started);
    return status;
  };
  const [held, free]: [Promise<Response>[], Promise<number>[]] = [[], []];
  for (const id of names('', 60)) {
    held.push(post(booking(`HELD${id}`)));
    free.push(timed(`FREE${id}`));
    await delay(50);
  }
  expect(await Promise.all(free)).toEqual(free.map(() => 200));
  // Only those that share the first batches wait at all.
  expect(times.sort((one, two) => one - two)[40]).toBeLessThan(1_000);
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual(held.map(() => 200));
  await lock.release();
  const count = async () => (await sql`select count(*)::int as n from meetings`)[0]?.n;
  await expect.poll(count, { timeout: 15_000 }).toBe(120);
}, 30_000);

test('one refused delivery costs its batch few transactions, and it is stored with the error', async () => {
  const { url, sql } = await connected();
  await sql.unsafe(`
    create function refuse() returns trigger language plpgsql as $$ begin
      if new.external_id = 'BAD' then raise exception 'not this one' using errcode = '23514'; end if;
      return new; end $$;
    create trigger refuse before insert on meetings for each row execute function refuse()`);
  const server = openServer(url);
  let transactions = 0;
  const { post } = receiving(url, {
    database: {
      ...server,
      transaction(work, options) {
        transactions++;
        return server.transaction(work, options);
      },
    },
  });
  const bodies = [...names('GOOD', 5), 'BAD', ...names('FINE', 10)].map((id) => booking(id));
  const answers = await Promise.all(bodies.map(async (body) => (await post(body)).json() as Promise<Loose>));
  expect(answers.map(({ status }) => status)).toEqual(
    bodies.map((_, index) => (index === 5 ? 'failed' : 'applied')),
  );
  // The batch, two halves at each of four levels, and one that stores the error.
  expect(transactions).toBe(10);
});

test('a receiver that dies before its COMMIT holds up the others for seconds, and only its own meeting', async () => {
  const { url } = await connected();
  const proxy = await startFaultyProxy(url);
  const dead = openServer(proxy.url);
  const dying = receiving(proxy.url, { database: dead });
  const { post } = receiving(url);
  expect((await post(booking('HELD'))).status).toBe(200);
  proxy.swallowAt('commit\0');
  const lost = dying.post(cancellation('HELD'));
  await expect.poll(proxy.trapped).toBe(true);
  const started = performance.now();
  const repeated = (async () => {
    while ((await post(cancellation('HELD'))).status !== 200) await delay(100);
    return performance.now() - started;
  })();
  for (const id of names('FREE', 10)) expect((await post(booking(id))).status).toBe(200);
  expect(await repeated).toBeLessThan(10_000);
  proxy.cut();
  // Its own copy finds in the ledger what the others have stored.
  expect(await (await lost).json()).toEqual({ received: true, status: 'duplicate' });
}, 20_000);
