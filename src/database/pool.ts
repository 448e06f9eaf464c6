/**
 * A few connections to one database, each a postgres.js client of its own. A client that has lost its connection is
 * ended, so that it refuses whatever its work still sends: postgres.js would write to the closed socket, which ends
 * the process, or reconnect in the middle of a transaction. Knows no SQL.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';

/** How long `end` waits for the running work, in seconds. */
const END_TIMEOUT_S = 5;

export interface Pool {
  /**
   * Gives a connection to `work`, exclusively, until it settles. Waits while all are in use.
   * Rejects as soon as the connection is lost, even if `work` is waiting for something else.
   */
  run<T>(work: (client: postgres.Sql) => Promise<T>): Promise<T>;
  /** Opens new connections from now on; those in use end with their work. */
  renew(): void;
  /** Ends all connections; waits up to 5 s for the running work. */
  end(): Promise<void>;
}

/** Opens a client with one connection, and passes `onclose` on to postgres.js. */
export type OpenClient = (onclose: () => void) => postgres.Sql | Promise<postgres.Sql>;

interface Connection {
  client: postgres.Sql;
  /** To be ended when its work settles. */
  stale: boolean;
  /** Rejects the work that uses it. */
  fail(error: Error): void;
}

/** @param max number of connections at most */
export function createPool(max: number, open: OpenClient): Pool {
  const connections = new Set<Connection>();
  const idle: Connection[] = [];
  const waiting: (() => void)[] = [];
  const running = new Set<Promise<unknown>>();
  const closing = new Set<Promise<void>>();
  let free = max;
  let ended = false;

  async function connect(): Promise<Connection> {
    let onclose = () => {};
    const connection: Connection = { client: await open(() => onclose()), stale: false, fail() {} };
    onclose = () => {
      discard(connection, 0);
      connection.fail(connectionClosed());
    };
    connections.add(connection);
    if (ended) discard(connection, 0);
    return connection;
  }

  /** Ends a client. One whose connection is lost would wait for answers that never come, unless the timeout is 0. */
  function discard(connection: Connection, timeout = END_TIMEOUT_S): void {
    if (!connections.delete(connection)) return;
    if (idle.includes(connection)) idle.splice(idle.indexOf(connection), 1);
    const closed = connection.client.end({ timeout }).finally(() => closing.delete(closed));
    closing.add(closed);
  }

  function putBack(connection: Connection): void {
    if (connection.stale) discard(connection);
    else if (connections.has(connection)) idle.push(connection);
  }

  function renew(): void {
    for (const connection of connections) connection.stale = true;
    for (const connection of [...idle]) discard(connection);
  }

  return {
    async run<T>(work: (client: postgres.Sql) => Promise<T>) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      let connection: Connection | undefined;
      try {
        const used = idle.pop() ?? (await connect());
        connection = used;
        const result = new Promise<T>((resolve, reject) => {
          used.fail = reject;
          work(used.client).then(resolve, reject);
        });
        running.add(result);
        return await result.finally(() => running.delete(result));
      } finally {
        if (connection) putBack(connection);
        const next = waiting.shift();
        if (next) next();
        else free++;
      }
    },
    renew,
    async end() {
      ended = true;
      renew();
      await Promise.race([
        Promise.allSettled(running),
        sleep(END_TIMEOUT_S * 1_000, undefined, { ref: false }),
      ]);
      for (const connection of connections) discard(connection, 0);
      await Promise.all(closing);
    },
  };
}

/** The error that postgres.js has for it. */
function connectionClosed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'CONNECTION_CLOSED' });
}
