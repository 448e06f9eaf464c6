/** A host's database to migrate, and transactions of the host that hold locks that a migration needs. */
import postgres from 'postgres';
import { afterAll } from 'vitest';
import { type Database, openServer } from '../../src/database/connection.js';
import { testDatabase } from './database.js';
import { makeHost } from './hosts.js';

/** Closed after the file's tests. */
export const open: Database[] = [];
export const clients: postgres.Sql[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end({ timeout: 1 })));
  await Promise.all(open.map((database) => database.close()));
});

/** Creates a host's database, without our tables. */
export async function host() {
  const { url, sql } = await testDatabase('empty');
  await makeHost(sql, 'integer');
  const database = openServer(url);
  open.push(database);
  return { url, sql, database };
}

/** Opens a transaction of the host's application that stays open until `release` is called. */
export async function hold(url: string, statement: string, application = 'the-app') {
  const client = postgres(url, { max: 1, connection: { application_name: application }, onnotice: () => {} });
  clients.push(client);
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let pid = 0;
  const held = await new Promise<{ ended: Promise<unknown> }>((resolve, reject) => {
    const ended = client.begin(async (sql) => {
      const [row] = await sql`select pg_backend_pid() as pid`;
      pid = row?.pid;
      await sql.unsafe(statement);
      resolve({ ended });
      await released;
    });
    ended.catch(reject);
  });
  return {
    pid,
    async release() {
      release();
      await held.ended;
    },
  };
}
