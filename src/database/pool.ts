/**
 * A few connections to one database, each a postgres.js client of its own. A client that has lost its connection is
 * ended, so that it refuses whatever its work still sends: postgres.js would write to the closed socket, which ends
 * the process, or reconnect in the middle of a transaction. Knows no transaction.
 *
 * Statements are prepared only on connections that lead to a Postgres process directly: a pooler in transaction mode
 * gives each transaction another process, which does not know them. postgres.js would retry such a loss inside the
 * transaction that it has aborted; a lost COMMIT would become a silent rollback.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { isSessionLost, sqlState } from './errors.js';

export interface Pool {
  /**
   * Gives a connection to `work`, exclusively, until it settles. Waits while all are in use. Rejects as soon as the
   * connection is lost, even if `work` is waiting for something else. With prepared statements `work` may run twice.
   * @param deadlineMs when `work` may take no longer: its connection is closed, and the others are replaced, because a
   * network that swallowed one may have swallowed them all
   */
  run<T>(work: (client: postgres.Sql) => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Opens new connections from now on; those in use end with their work. */
  renew(): void;
  /** Ends all connections; waits up to 5 s for the running work. */
  end(): Promise<void>;
}

export interface PoolOptions {
  /** Number of connections at most. */
  max: number;
  /** Prepares statements where there is no pooler. */
  prepare?: boolean;
  /** Age from which a connection is replaced before its next use, in ms: it may lead to a server of the past. */
  maxAgeMs?: number;
}

interface Connection {
  client: postgres.Sql;
  openedAt: number;
  /** To be ended when its work settles. */
  stale: boolean;
  /** Rejects the work that uses it. */
  fail(error: Error): void;
}

const END_TIMEOUT_S = 5;

/** @param open opens a client with one connection, and passes `onclose` on to postgres.js */
export function createPool(
  open: (prepare: boolean, onclose: () => void) => postgres.Sql,
  { max, prepare = false, maxAgeMs = Number.POSITIVE_INFINITY }: PoolOptions,
): Pool {
  const connections = new Set<Connection>();
  /** Of the connections that may be open, those that are not in use; undefined: to be opened first. */
  const idle: (Connection | undefined)[] = Array.from({ length: max }, () => undefined);
  const waiting: ((next: Connection | undefined) => void)[] = [];
  const running = new Set<Promise<unknown>>();
  const closing = new Set<Promise<void>>();
  let preparing = prepare;
  let ended = false;

  async function connect(deadlineMs?: number): Promise<Connection> {
    const onclose = () => {
      discard(connection, 0);
      connection.fail(connectionError('CONNECTION_CLOSED', 'the connection was closed'));
    };
    const client = open(preparing, onclose);
    const connection: Connection = { client, openedAt: performance.now(), stale: false, fail() {} };
    connections.add(connection);
    if (ended) discard(connection, 0);
    if (!preparing) return connection;
    try {
      if (await supervised(connection, isDirect, deadlineMs)) return connection;
    } catch (error) {
      discard(connection, 0);
      throw error;
    }
    preparing = false;
    discard(connection, 0);
    return connect(deadlineMs);
  }

  /** Lets work use a connection; rejects as soon as that is lost, or when the time is up. */
  function supervised<T>(
    connection: Connection,
    work: (client: postgres.Sql) => Promise<T>,
    deadlineMs: number | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const onTimeout = () => {
        renew();
        discard(connection, 0);
        reject(connectionError('CONNECTION_TIMEOUT', `no answer within ${deadlineMs} ms`));
      };
      const timer = deadlineMs === undefined ? undefined : setTimeout(onTimeout, deadlineMs);
      const settled = () => clearTimeout(timer);
      connection.fail = (error) => {
        settled();
        reject(error);
      };
      work(connection.client).finally(settled).then(resolve, reject);
    });
  }

  /** Ends a client. One whose connection is lost would wait for answers that never come, unless the timeout is 0. */
  function discard(connection: Connection, timeout = END_TIMEOUT_S): void {
    if (!connections.delete(connection)) return;
    if (timeout === 0) refuseToConnect(connection.client);
    const closed = connection.client.end({ timeout }).finally(() => closing.delete(closed));
    closing.add(closed);
  }

  function renew(): void {
    for (const connection of connections) connection.stale = true;
    for (const connection of idle) if (connection) discard(connection);
  }

  /** Whether an idle connection can be used; one that is too old is ended. */
  function isUsable(connection: Connection | undefined): connection is Connection {
    if (connection === undefined || !connections.has(connection)) return false;
    if (performance.now() - connection.openedAt < maxAgeMs) return true;
    discard(connection);
    return false;
  }

  async function runOnce<T>(
    work: (client: postgres.Sql) => Promise<T>,
    deadlineMs: number | undefined,
  ): Promise<T> {
    let connection =
      idle.length > 0
        ? idle.pop()
        : await new Promise<Connection | undefined>((resolve) => waiting.push(resolve));
    try {
      connection = isUsable(connection) ? connection : await connect(deadlineMs);
      const result = supervised(connection, work, deadlineMs);
      running.add(result);
      return await result.finally(() => running.delete(result));
    } finally {
      if (connection?.stale) discard(connection);
      const next = waiting.shift();
      if (next) next(connection);
      else idle.push(connection);
    }
  }

  return {
    async run(work, deadlineMs) {
      try {
        return await runOnce(work, deadlineMs);
      } catch (error) {
        // The server may have moved: new connections find the new one.
        if (isSessionLost(error)) renew();
        if (!preparing || !isOutdatedStatement(error)) throw error;
      }
      // Its transaction was rolled back, so it can run again. The other connections have prepared the same statement.
      renew();
      return runOnce(work, deadlineMs);
    },
    renew,
    async end() {
      ended = true;
      renew();
      const timeout = sleep(END_TIMEOUT_S * 1_000, undefined, { ref: false });
      await Promise.race([Promise.allSettled(running), timeout]);
      for (const connection of connections) discard(connection, 0);
      await Promise.all(closing);
    },
  };
}

/** Whether a client's connection leads to a Postgres process directly: a pooler announces process ids of its own. */
async function isDirect(client: postgres.Sql): Promise<boolean> {
  const rows = await client.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
  return rows[0]?.pid === rows.state.pid;
}

/**
 * A statement was prepared before the type of a column that it reads was changed. postgres.js retries it by itself,
 * without success, and until that has failed, all that is reported is that the next statement found the transaction
 * aborted (25P02).
 */
function isOutdatedStatement(error: unknown): boolean {
  const { routine } = Object(error) as { routine?: unknown };
  return sqlState(error) === '25P02' || (sqlState(error) === '0A000' && routine === 'RevalidateCachedQuery');
}

/**
 * Keeps a client from opening a socket again. `end` alone does not: until its first await is over, and for what is
 * queued, postgres.js schedules a new connection, which outlives the end and keeps the process running.
 */
function refuseToConnect(client: postgres.Sql): void {
  // The only option that postgres.js reads again before each connection.
  Object.assign(client.options, {
    socket() {
      throw connectionError('CONNECTION_ENDED', 'the connection was closed');
    },
  });
}

/** An error like those that postgres.js has for a lost connection. */
function connectionError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
