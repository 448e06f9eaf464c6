/** Prepared statements: directly on a server, behind poolers, and on a table whose columns change. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Database, openServer, type Sql } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';
import { startPooler } from '../support/pooler.js';
import { poolers } from '../support/poolers.js';
import { booking, HOST, receiving, URL_OF_RECEIVER } from '../support/webhooks.js';

/** Opens a server with prepared statements. */
function preparing(url: string, max: number) {
  const database = openServer(url, { prepare: true, max });
  onTestFinished(() => database.close());
  return database;
}

/** Returns how many statements are prepared on a transaction's connection. */
const countPrepared = (database: Database) =>
  database.transaction(async (tx) => {
    const [row] = await tx<{ count: number }[]>`select count(*)::int as count from pg_prepared_statements`;
    return row?.count;
  });
const backendOf = (database: Database) =>
  database.transaction(async (tx) => (await tx`select pg_backend_pid() as pid`)[0]?.pid as number);

/** The same on a database with a table without a key, so that a repeated insert is stored twice. */
async function notes(max: number, start?: typeof startPooler | (typeof poolers)[number]['start'], size = 2) {
  const { url, sql } = await testDatabase('empty');
  await sql`create table notes (key text, note text)`;
  const rows = () => sql<{ key: string; note: string | null }[]>`select key, note from notes order by key`;
  if (start === undefined) return { database: preparing(url, max), sql, rows };
  const pooler = await start(url, size);
  onTestFinished(() => pooler.stop());
  return { database: preparing(pooler.url, max), sql, rows };
}

const add = (tx: Sql, key: string) => tx`insert into notes (key) values (${key}) returning key`;
const addNoted = (tx: Sql, key: string) =>
  tx`insert into notes (key, note) values (${key}, 'new') returning key`;
const find = (tx: Sql, key: string) => tx`select key from notes where key = ${key}`;
const keysOf = (rows: { key: string }[]) => rows.map(({ key }) => key);
const numbered = (count: number, prefix = 'k') =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(3, '0')}`);

describe.each(poolers)('through $name', ({ start }) => {
  test('many concurrent transactions through a pooler are done exactly once, and so are later ones', async () => {
    const { database, rows } = await notes(6, start, 4);
    const work = (key: string, index: number) =>
      database.transaction(async (tx) => {
        await (index % 3 === 0 ? addNoted : add)(tx, key);
        const [found] = await Promise.all([find(tx, key), tx`select count(*) from notes`]);
        return found[0]?.key as string;
      });
    for (const keys of [numbered(60, 'a'), numbered(60, 'b')])
      expect(await Promise.all(keys.map(work))).toEqual(keys);
    expect(keysOf(await rows())).toEqual([...numbered(60, 'a'), ...numbered(60, 'b')]);
  });

  test('a receiver behind a pooler answers 200 to many concurrent bookings, and stores each once', async () => {
    const { url, sql } = await testDatabase();
    await sql`insert into users (email) values ('host@example.com')`;
    await sql`insert into calendly_accounts (user_id, calendly_uri) select id, ${HOST} from users`;
    const pooler = await start(url, 4);
    onTestFinished(() => pooler.stop());
    const { handler, post, events } = receiving('', { database: preparing(pooler.url, 6) });
    const stored = async () => {
      const [row] = await sql`
        select (select count(*)::int from calendly_webhook_events where processed_at is not null) as ledger,
          (select count(*)::int from meetings) as meetings, (select count(*)::int from meeting_invitees) as invitees`;
      return row;
    };
    // Its transaction is the first one to be committed; of the booking's statements none was prepared before.
    expect((await handler(new Request(new URL('/healthz', URL_OF_RECEIVER)))).status).toBe(200);
    expect((await post(booking('FIRST'))).status, JSON.stringify(events)).toBe(200);
    expect(await stored()).toEqual({ ledger: 1, meetings: 1, invitees: 1 });
    for (let round = 1; round <= 3; round++) {
      const answers = await Promise.all(numbered(40, `R${round}-`).map((id) => post(booking(id))));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      const count = 1 + round * 40;
      expect(await stored()).toEqual({ ledger: count, meetings: count, invitees: count });
    }
  });
});

describe('behind a pooler in transaction mode', () => {
  const cases: [string, (tx: Sql, key: string) => Promise<unknown>][] = [
    ['a transaction', add],
    [
      'a transaction that sends statements without waiting',
      (tx, key) => Promise.all([add(tx, key), find(tx, key)]),
    ],
    ['a transaction that ends with another statement', addNoted],
  ];
  test.each(cases)(
    '%s behind a pooler is done exactly once, because nothing is prepared',
    async (_, work) => {
      // One connection, and backends that take turns: the second transaction finds nothing of the first one's.
      const { database, rows } = await notes(1, startPooler);
      await database.transaction((tx) => add(tx, 'a'));
      let times = 0;
      for (const key of ['b', 'c', 'd', 'e']) {
        await database.transaction((tx) => {
          times++;
          return work(tx, key);
        });
      }
      expect(keysOf(await rows())).toEqual(['a', 'b', 'c', 'd', 'e']);
      expect(times).toBe(4);
      expect(await countPrepared(database)).toBe(0);
    },
  );

  test('behind a pooler, running and waiting transactions complete, and closing leaves no connection', async () => {
    const { url, sql } = await testDatabase('empty');
    await sql`create table notes (key text, note text)`;
    const pooler = await startPooler(url, 3);
    onTestFinished(() => pooler.stop());
    const database = preparing(pooler.url, 2);
    let proceed: () => void = () => {};
    const proceeding = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    let started: () => void = () => {};
    const starting = new Promise<void>((resolve) => {
      started = resolve;
    });
    let times = 0;
    const long = database.transaction(async (tx) => {
      times++;
      await add(tx, 'long');
      started();
      await proceeding;
      await find(tx, 'long');
    });
    await starting;
    // The other connection's next transaction meets a backend that knows nothing of this one's statements.
    await database.transaction((tx) => add(tx, 'before'));
    const keys = numbered(20);
    await Promise.all(keys.map((key) => database.transaction((tx) => add(tx, key))));
    proceed();
    await long;
    const rows = await sql<{ key: string }[]>`select key from notes order by key`;
    expect(keysOf([...rows])).toEqual(['before', ...keys, 'long']);
    expect(times).toBe(1);
    await database.close();
    await expect.poll(pooler.clients).toBe(0);
  });
});

describe('directly on a server', () => {
  test('a connection is checked for a pooler only once', async () => {
    const { url } = await testDatabase('empty');
    const statements: string[] = [];
    const debug = (_: number, text: string) => void statements.push(text);
    const database = openServer(url, { prepare: true, max: 1, debug });
    onTestFinished(() => database.close());
    const count = () => statements.filter((text) => text.includes('pg_backend_pid')).length;
    for (let round = 0; round < 5; round++) {
      await database.transaction((tx) => tx`select 1`);
      expect(count()).toBe(1);
    }
  });

  const refusals: [string, string, (tx: Sql) => Promise<unknown>][] = [
    ['a constraint violation', '23505', (tx) => tx`insert into one values (1)`],
    ['an unsupported feature', '0A000', (tx) => tx`select 1 from notes group by 1 for update`],
  ];
  test.each(refusals)(
    '%s in a prepared statement is reported without a retry, and statements stay prepared',
    async (_, code, refused) => {
      const { database, sql } = await notes(1);
      const backend = await backendOf(database);
      await sql`create table one as select 1 as id`;
      await sql`create unique index on one (id)`;
      let times = 0;
      for (const round of [1, 2]) {
        const failed = database.transaction(async (tx) => {
          times++;
          await add(tx, 'x');
          await refused(tx);
        });
        await expect(failed).rejects.toMatchObject({ code: 'database_failed', cause: { code } });
        expect(times).toBe(round);
      }
      await database.transaction((tx) => add(tx, 'y'));
      expect(await backendOf(database)).toBe(backend);
      expect(await countPrepared(database)).toBeGreaterThan(0);
      expect(await sql`select key from notes`).toEqual([{ key: 'y' }]);
    },
  );

  test.each(['alone', 'in a row'])(
    'a transaction that reads a column %s after its type has changed is repeated once, and stays prepared',
    async (how) => {
      const { database, sql } = await notes(2);
      let times = 0;
      const read = () =>
        database.transaction(async (tx) => {
          times++;
          await add(tx, 'x');
          const reading = tx`select note from notes limit 1`;
          const [rows] = await Promise.all([reading, ...(how === 'alone' ? [] : [find(tx, 'x')])]);
          return rows;
        });
      await Promise.all([read(), read()]);
      await sql`alter table notes alter note type varchar(50)`;
      times = 0;
      expect(await read()).toEqual([{ note: null }]);
      expect(times).toBe(2);
      expect(await Promise.all([read(), read()])).toEqual([[{ note: null }], [{ note: null }]]);
      expect(times).toBe(4);
      expect(await countPrepared(database)).toBeGreaterThan(0);
      expect(await sql`select count(*)::int as n from notes`).toEqual([{ n: 5 }]);
    },
  );
});
