/** Transactions whose connection is lost, and errors that only look like it. */
import { mkdir, readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cancellable } from '../../src/database/cancel.js';
import { openServer, type Sql } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';
import { makeRole } from '../support/roles.js';

async function notes(max = 1) {
  const { url, sql } = await testDatabase('empty');
  await sql`create table notes (key text)`;
  const database = openServer(url, { max });
  onTestFinished(() => database.close());
  return {
    database,
    sql,
    keys: async () => (await sql`select key from notes order by key`).map(({ key }) => key),
  };
}

const add = (tx: Sql, key: string) => tx`insert into notes values (${key})`;
const backendOf = async (tx: Sql) => (await tx`select pg_backend_pid() as pid`)[0]?.pid as number;

/** Terminates a transaction's connection, and waits until that can be noticed. */
async function cut({ sql }: Awaited<ReturnType<typeof notes>>, pid: number) {
  await sql`select pg_terminate_backend(${pid})`;
  await sleep(50);
}

describe('a transaction whose connection is lost', () => {
  test('a transaction that has lost its connection is rejected at once, even while its work is waiting', async () => {
    const own = await notes();
    const failed = own.database.transaction(async (tx) => {
      await add(tx, 'lost');
      await cut(own, await backendOf(tx));
      await sleep(60_000, undefined, { ref: false });
    });
    await expect(failed).rejects.toMatchObject({ code: 'database_unreachable' });
    expect(await own.keys()).toEqual([]);
  });

  test('what a transaction sends after it has lost its connection never reaches the next transaction', async () => {
    const own = await notes();
    let proceed = () => {};
    const proceeding = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    let late: Promise<unknown> = Promise.resolve();
    const failed = own.database.transaction((tx) => {
      late = (async () => {
        await cut(own, await backendOf(tx));
        await proceeding;
        await Promise.allSettled([
          add(tx, 'late'),
          tx.unsafe('commit'),
          tx.savepoint((inner) => add(inner, 'later')),
        ]);
        return add(tx, 'latest');
      })();
      return late;
    });
    await expect(failed).rejects.toMatchObject({ code: 'database_unreachable' });
    await own.database.transaction(async (tx) => {
      await add(tx, 'next');
      proceed();
      await expect(late).rejects.toThrow();
      await add(tx, 'same');
    });
    expect(await own.keys()).toEqual(['next', 'same']);
  });

  test('a transaction that loses its connection in a savepoint is rejected, and its work settles too', async () => {
    const own = await notes();
    let inner: Promise<unknown> = Promise.resolve();
    const failed = own.database.transaction((tx) => {
      inner = tx.savepoint(async (nested) => {
        await cut(own, await backendOf(nested));
        await add(nested, 'lost');
      });
      return inner;
    });
    await expect(failed).rejects.toMatchObject({ code: 'database_unreachable' });
    await expect(inner).rejects.toThrow();
    await own.database.transaction((tx) => add(tx, 'next'));
    expect(await own.keys()).toEqual(['next']);
  });

  test('a hundred transactions that lose their connection are all rejected, and the next one works', async () => {
    const own = await notes(3);
    const cutting = () =>
      own.database.transaction(async (tx) => {
        await Promise.all([
          add(tx, 'lost'),
          tx`select pg_terminate_backend(pg_backend_pid())`,
          add(tx, 'lost'),
        ]);
      });
    const results = await Promise.allSettled(Array.from({ length: 100 }, cutting));
    expect(results.map(({ status }) => status)).toEqual(results.map(() => 'rejected'));
    await own.database.transaction((tx) => add(tx, 'next'));
    expect(await own.keys()).toEqual(['next']);
  });
});

test('a connection that was lost while statements were queued is not opened again', async () => {
  const own = await notes();
  const failed = own.database.transaction(async (tx) => {
    await Promise.all([
      tx`select pg_terminate_backend(pg_backend_pid()), ${1}::int`,
      add(tx, 'lost').catch(() => add(tx, 'later')),
      add(tx, 'queued'),
    ]);
  });
  await expect(failed).rejects.toMatchObject({ code: 'database_unreachable' });
  await sleep(200);
  expect(
    await own.sql`
      select query from pg_stat_activity
      where datname = current_database() and application_name = 'calendly-sync'`,
  ).toEqual([]);
  expect(await own.keys()).toEqual([]);
});

describe('an error that only looks like a lost connection', () => {
  test.each([
    ['a missing file', 'ENOENT', () => readFile('/nowhere/at/all')],
    [
      'a pipe that is closed',
      'EPIPE',
      () => Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    ],
    ['a folder that exists', 'EEXIST', () => mkdir('/tmp')],
  ])('the error of %s rolls the transaction back and is passed on unchanged', async (_, code, fail) => {
    const own = await notes();
    const failed = own.database.transaction(async (tx) => {
      await add(tx, 'undone');
      await fail();
    });
    await expect(failed).rejects.toMatchObject({ code });
    await own.database.transaction((tx) => add(tx, 'next'));
    expect(await own.keys()).toEqual(['next']);
  });

  test('the loss of another connection rolls the transaction back and frees its locks', async () => {
    const own = await notes(2);
    const failed = own.database.transaction(async (tx) => {
      await tx`lock table notes`;
      await own.database.statement('select pg_terminate_backend(pg_backend_pid())').catch((error) => {
        throw error.cause;
      });
    });
    await expect(failed).rejects.toMatchObject({ code: 'database_unreachable' });
    await own.sql.begin((tx) => tx`lock table notes nowait`);
    await own.database.transaction((tx) => add(tx, 'next'));
    expect(await own.keys()).toEqual(['next']);
  });
});

test('closing a database completes what is running and refuses what waits for a connection', async () => {
  const { database, keys } = await notes();
  let start = () => {};
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  const long = database.transaction(async (tx) => {
    await add(tx, 'long');
    start();
    await tx`select pg_sleep(0.2)`;
  });
  await started;
  const waiting = database.transaction((tx) => add(tx, 'waiting'));
  await Promise.all([
    database.close(),
    long,
    expect(waiting).rejects.toMatchObject({ code: 'database_unreachable' }),
  ]);
  expect(await keys()).toEqual(['long']);
});

test('a transaction is rejected if its work has ignored the error of a statement', async () => {
  const { database, keys } = await notes();
  const swallowing = database.transaction(async (tx) => {
    await add(tx, 'lost');
    await tx`select 1 / 0`.catch(() => {});
  });
  await expect(swallowing).rejects.toThrow('one of its statements had failed');
  const recovering = database.transaction(async (tx) => {
    await add(tx, 'kept');
    await tx
      .savepoint(async (inner) => {
        await add(inner, 'undone');
        await inner`select 1 / 0`;
      })
      .catch(() => {});
    await add(tx, 'kept too');
  });
  await recovering;
  expect(await keys()).toEqual(['kept', 'kept too']);
});

test('an error that only COMMIT finds is reported, and the connection stays usable', async () => {
  const { database, sql, keys } = await notes();
  await sql`alter table notes add unique (key) deferrable initially deferred`;
  const failed = database.transaction(async (tx) => {
    await add(tx, 'twice');
    await add(tx, 'twice');
  });
  await expect(failed).rejects.toMatchObject({ code: 'database_failed', cause: { code: '23505' } });
  await database.transaction((tx) => add(tx, 'next'));
  expect(await keys()).toEqual(['next']);
});

test('a role that row-level security applies to gets an error, and never only some of the rows', async () => {
  const { url, sql } = await testDatabase('empty');
  await sql`create table notes (key text)`;
  await sql`insert into notes values ('hidden')`;
  await sql`alter table notes enable row level security`;
  const role = await makeRole(url);
  await sql.unsafe(`grant select, insert, delete on notes to "${role.name}"`);
  const database = openServer(role.url);
  onTestFinished(() => database.close());
  const explained = {
    message: expect.stringMatching(/^This role is subject to row-level security, .* "notes" \(42501\)\.$/),
    hint: expect.stringContaining('grant OWNER to ROLE'),
  };
  await expect(database.transaction((tx) => tx`delete from notes`)).rejects.toMatchObject(explained);
  const read = database.transaction((tx) => tx`select from notes`, { readOnly: true });
  await expect(read).rejects.toMatchObject(explained);
});

test('a statement whose cancel request does not reach the server goes on, and nothing is left unhandled', async () => {
  const { url } = await testDatabase('empty');
  const { port, hostname } = new URL(url);
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port: proxyPort } = proxy.address() as AddressInfo;
  const database = openServer(url.replace(`:${port}/`, `:${proxyPort}/`));
  onTestFinished(() => database.close());
  const controller = new AbortController();
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const running = database.transaction((sql) =>
    cancellable(sql.unsafe('select 1 as one from pg_sleep(1)'), controller.signal),
  );
  await sleep(300);
  // The open connection stays; a new one is refused.
  proxy.close();
  controller.abort();
  expect(await running).toEqual([{ one: 1 }]);
  expect(rejections).toEqual([]);
});
