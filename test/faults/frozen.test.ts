/** A Postgres server that stops in the middle and continues later: nothing is acknowledged before it is committed. */
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { migrate } from '../../src/migrations/migrate.js';
import { freePort } from '../support/free-port.js';
import { startPostgres } from '../support/postgres-server.js';
import { start } from '../support/program.js';
import { booking, HOST, KEY, receiving, signedRequest } from '../support/webhooks.js';

// A server of its own: the one of the other tests must not stop.
const server = await startPostgres();
const sql = postgres(server.url, { max: 3, onnotice: () => {} });
afterAll(async () => {
  await sql.end({ timeout: 1 });
  await server.stop();
});
const migrating = openServer(server.url);
await migrate(migrating);
await migrating.close();
await sql`insert into users (email) values ('host@example.com')`;
await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;

/** Stops these processes until the returned function is called, or the test ends. */
function freeze(pids: number[]): () => void {
  const signal = (name: NodeJS.Signals) => {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch (error) {
        // A worker of the server may have ended by itself.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  };
  signal('SIGSTOP');
  let frozen = true;
  const thaw = () => {
    if (frozen) signal('SIGCONT');
    frozen = false;
  };
  onTestFinished(thaw);
  return thaw;
}

/** Whether there is a response within this time. */
const answered = (answer: Promise<unknown>) =>
  Promise.race([answer.then(() => true), delay(1_500, false, { ref: false })]);

/** What is stored of a booking, as another session sees it. */
async function stored(id: string) {
  const [row] = await sql`
    select (select count(*)::int from calendly_webhook_events where invitee_uri like ${`%/G${id}`}) as ledger,
      (select count(*)::int from meetings where external_id = ${id}) as meetings,
      (select count(*)::int from meeting_invitees where calendly_uri like ${`%/G${id}`}) as invitees`;
  return row;
}

const ONCE = { ledger: 1, meetings: 1, invitees: 1 };

test('the built receiver does not answer while the whole server is frozen, and answers 2xx once it continues', async () => {
  const base = `http://127.0.0.1:${await freePort()}`;
  const { child } = start(['webhook', 'serve', '--port', new URL(base).port, '--quiet'], {
    DATABASE_URL: server.url,
    CALENDLY_WEBHOOK_SIGNING_KEY: KEY,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const post = async (id: string) => {
    const body = JSON.stringify(booking(id));
    const { headers } = signedRequest(body);
    return (await fetch(`${base}/api/calendly/webhook`, { method: 'POST', headers, body })).status;
  };
  await expect.poll(() => post('BEFORE').catch(() => null)).toBe(200);
  const [postmaster] = await sql`select split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int as pid`;
  const processes = await sql`select pid from pg_stat_activity`;
  const thaw = freeze([postmaster?.pid, ...processes.map(({ pid }) => pid)]);
  const posted = post('FROZEN');
  expect(await answered(posted)).toBe(false);
  thaw();
  expect(await posted).toBe(200);
  expect(await stored('FROZEN')).toEqual(ONCE);
});

test('a frozen COMMIT is answered 503, and the delivery sent again after it is answered 2xx', async () => {
  // The transaction waits for this lock when everything is written and its COMMIT has begun.
  await sql.unsafe(`
    create function wait() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
    create constraint trigger wait after insert on calendly_webhook_events deferrable initially deferred
      for each row execute function wait();`);
  onTestFinished(async () => {
    await sql`drop function wait cascade`;
  });
  const { post, handler } = receiving(server.url, { commitTimeoutMs: 300 });
  const status = async () => (await post(booking('COMMIT'))).status;
  const holder = await sql.reserve();
  await holder`select pg_advisory_lock(4711)`;
  const first = status();
  let waiting: number[] = [];
  await expect
    .poll(async () => {
      const locks = await sql`select l.pid, a.query from pg_locks l join pg_stat_activity a on a.pid = l.pid
        where l.locktype = 'advisory' and not l.granted`;
      waiting = locks.map(({ pid }) => pid);
      return locks.map(({ query }) => query);
    })
    .toEqual(['commit']);
  const thaw = freeze(waiting);
  await holder`select pg_advisory_unlock(4711)`;
  holder.release();
  expect(await first).toBe(503);
  expect(await status()).toBe(503);
  expect(await stored('COMMIT')).toEqual({ ledger: 0, meetings: 0, invitees: 0 });
  thaw();
  await handler.close();
  expect(await stored('COMMIT')).toEqual(ONCE);
  const repeated = await post(booking('COMMIT'));
  expect([repeated.status, await repeated.json()]).toEqual([200, { received: true, status: 'duplicate' }]);
  expect(await stored('COMMIT')).toEqual(ONCE);
});
