/**
 * Several built receivers behind a bad network, a server that becomes a standby, and a role with short timeouts.
 * `FAULT_BOOKINGS=20000` makes the first test long.
 */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { startFaultyProxy } from '../support/faulty-proxy.js';
import { freePort } from '../support/free-port.js';
import { startPostgres } from '../support/postgres-server.js';
import { calendlySync, start } from '../support/program.js';
import { randomOf, shuffled } from '../support/random.js';
import { booking, cancellation, HOST, KEY, receiving, signedText } from '../support/webhooks.js';

const BOOKINGS = Number(process.env.FAULT_BOOKINGS ?? 150);

async function connect(sql: postgres.Sql) {
  await sql`insert into users (email) values ('host@example.com')`;
  await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
}

/** A built receiver behind a proxy of its own. */
async function receiver(databaseUrl: string, keepaliveMs: number | null = null) {
  const proxy = await startFaultyProxy(databaseUrl, keepaliveMs);
  const port = await freePort();
  const argv = ['webhook', 'serve', '--quiet', '--port', String(port)];
  const { child, ended } = start(argv, { DATABASE_URL: proxy.url, CALENDLY_WEBHOOK_SIGNING_KEY: KEY });
  onTestFinished(() => void child.kill('SIGKILL'));
  const healthy = () =>
    fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await expect.poll(healthy).toBe(true);
  return { proxy, port, child, ended };
}

async function post(port: number, body: string): Promise<number> {
  const headers = { 'content-type': 'application/json', 'calendly-webhook-signature': signedText(body) };
  const response = await fetch(`http://127.0.0.1:${port}/api/calendly/webhook`, {
    method: 'POST',
    body,
    headers,
  });
  await response.arrayBuffer();
  return response.status;
}

test('three receivers behind a network that delays, resets and swallows, one of them killed before a COMMIT, store each delivery once', {
  timeout: 60_000 + BOOKINGS * 1_000,
}, async () => {
  const { url, sql } = await testDatabase();
  await connect(sql);
  const random = randomOf(11);
  // Before Postgres 17, nothing but keepalive ends a session that was cut in the middle of a message.
  const [server] = await sql<{ version: number }[]>`
    select current_setting('server_version_num')::integer as version`;
  const keepaliveMs = (server?.version ?? 0) < 170_000 ? 2_000 : null;
  const receivers = await Promise.all([1, 2, 3].map(() => receiver(url, keepaliveMs)));
  const [slow, , victim] = receivers;
  slow?.proxy.delay(5);
  const ids = Array.from({ length: BOOKINGS }, (_, index) => `N${index}`);
  const distinct = ids.flatMap((id, index) => [booking(id), ...(index % 3 === 0 ? [cancellation(id)] : [])]);
  const bodies = shuffled([...distinct, ...distinct], random).map((body) => JSON.stringify(body));
  let next = 0;
  const workers = Array.from({ length: 12 }, async () => {
    while (next < bodies.length) {
      const body = bodies[next++] ?? '';
      // Like Calendly behind a load balancer: until some receiver answers 2xx.
      for (let status = 0; status !== 200; ) {
        const { port } = receivers[Math.floor(random() * receivers.length)] ?? { port: 0 };
        status = await post(port, body).catch(() => 0);
        expect([200, 503, 0]).toContain(status);
        if (status !== 200) await delay(50);
      }
    }
  });
  const storm = (async () => {
    // The server never learns that a connection was swallowed: few are, so that it has others left.
    for (let harmed = 0; next < bodies.length; harmed++) {
      await delay(200);
      const how = harmed % 20 === 3 ? 'swallow' : 'reset';
      receivers[Math.floor(random() * receivers.length)]?.proxy.harm(how, random());
    }
  })();
  while (next < bodies.length / 3) await delay(10);
  victim?.proxy.swallowAt('commit\0');
  while (!victim?.proxy.trapped() && next < bodies.length) await delay(5);
  victim?.child.kill('SIGKILL');
  receivers.pop();
  await Promise.all([...workers, storm]);
  const waiting = () => sql`select from calendly_webhook_events where processed_at is null`;
  await expect.poll(waiting, { timeout: 90_000 }).toHaveLength(0);
  const [stored] = await sql`
    select (select count(*)::int from calendly_webhook_events) as ledger, count(*)::int as meetings,
      count(distinct m.external_id)::int as different, count(*) filter (where is_deleted)::int as canceled,
      (select count(*)::int from meeting_invitees) as invitees
    from meetings m`;
  const canceled = Math.ceil(BOOKINGS / 3);
  expect(stored).toEqual({
    ledger: distinct.length,
    meetings: BOOKINGS,
    different: BOOKINGS,
    canceled,
    invitees: BOOKINGS,
  });
  for (const { child, ended } of receivers) {
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
  }
});

test('while the server is a standby deliveries get a 503, and they are stored once it is promoted', async () => {
  const server = await startPostgres(undefined, { fsync: 'off' });
  onTestFinished(() => server.stop());
  expect((await calendlySync(['migrate'], { DATABASE_URL: server.url })).code).toBe(0);
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  await connect(sql);
  const { port } = await receiver(server.url);
  const deliver = (id: string) => post(port, JSON.stringify(booking(id)));
  const health = async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status;
  expect(await deliver('PRIMARY')).toBe(200);
  await server.demote();
  expect(await deliver('STANDBY')).toBe(503);
  await expect.poll(health).toBe(503);
  await sql`select pg_promote()`;
  await expect.poll(() => deliver('STANDBY')).toBe(200);
  await expect.poll(health).toBe(200);
  const stored = await sql`select external_id from meetings order by 1`;
  expect(stored.map(({ external_id: id }) => id)).toEqual(['PRIMARY', 'STANDBY']);
}, 60_000);

test('timeouts of the role that are too short for the receiver do not apply to its transactions', async () => {
  const { url, sql } = await testDatabase();
  await connect(sql);
  // The database's settings are in force for each of its sessions, as those of a role would be.
  const name = new URL(url).pathname.slice(1);
  for (const setting of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'])
    await sql.unsafe(`alter database ${name} set ${setting} = '20ms'`);
  await sql.unsafe(`
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.1); return new; end $$;
    create trigger slow before insert on calendly_webhook_events for each row execute function slow()`);
  const { post: deliver } = receiving(url);
  for (const id of ['FIRST', 'SECOND']) expect((await deliver(booking(id))).status).toBe(200);
});
