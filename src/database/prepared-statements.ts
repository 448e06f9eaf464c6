/**
 * A server whose statements are prepared once and then only executed, for a process that runs the same few of them all day. A
 * pooler in transaction mode does not keep prepared statements: the first time that shows, everything goes on without them.
 */
import type { Database, Sql } from './connection.js';
import { errorCode } from './errors.js';

/** A server as it was opened, and how much is under way on it. */
interface Opened {
  database: Database;
  prepares: boolean;
  /** A statement that was prepared on it is lost. */
  lost: boolean;
  /** Its connections are backends of their own, with nothing in between that could lose a statement. */
  direct: boolean;
  running: number;
}

/**
 * @param open opens the server, with prepared statements or without
 */
export function preparingServer(open: (prepare: boolean) => Database): Database {
  const all = new Set<Opened>();
  const closing: Promise<void>[] = [];
  let current = opened(true);

  function opened(prepares: boolean): Opened {
    const server = { database: open(prepares), prepares, lost: false, direct: false, running: 0 };
    all.add(server);
    return server;
  }

  /** Opens the server anew. What runs on the old one may end; nothing new begins there. */
  function replace(server: Opened, prepares: boolean): void {
    if (server === current) current = opened(prepares);
    closeUnused();
  }

  function closeUnused(): void {
    for (const server of all) {
      if (server === current || server.running > 0) continue;
      all.delete(server);
      closing.push(server.database.close());
    }
  }

  async function on<T>(server: Opened, work: (database: Database) => Promise<T>): Promise<T> {
    server.running++;
    try {
      return await work(server.database);
    } finally {
      server.running--;
      closeUnused();
    }
  }

  return {
    get kind() {
      return current.database.kind;
    },
    get label() {
      return current.database.label;
    },
    get schema() {
      return current.database.schema;
    },
    async transaction(work, options) {
      for (let attempt = 1; ; attempt++) {
        const server = current;
        let lost = false;
        const probed = async (sql: Sql) => {
          // Where it waited for a connection, another transaction may have been the first to see it.
          if (!server.lost && !server.direct) await probe(sql, server);
          lost = server.lost;
          if (lost) throw new Error('the server keeps no prepared statements');
          return work(sql);
        };
        try {
          return await on(server, (database) =>
            database.transaction(server.prepares ? probed : work, options),
          );
        } catch (thrown) {
          // Its transaction was rolled back, so that it can be done again.
          if (!server.prepares) throw thrown;
          if (lost || isLostStatement(thrown)) replace(server, false);
          else if (attempt === 1 && isOutdatedStatement(thrown)) replace(server, true);
          else throw thrown;
        }
      }
    },
    statement: (text, options) => on(current, (database) => database.statement(text, options)),
    async close() {
      await Promise.all([...[...all].map(({ database }) => database.close()), ...closing]);
    },
  };
}

/**
 * Whether this transaction's backend knows what its connection has prepared, asked before anything depends on it: postgres.js tries a
 * lost statement again by itself, in the transaction that the loss has aborted. Of a COMMIT, which it prepares like any other,
 * Postgres then makes a rollback that reports no error, and among statements sent in a row it loses count of the answers. Asked
 * until a connection turns out to be with its backend itself: a pooler gives its clients process ids of its own.
 */
async function probe(sql: Sql, server: Opened): Promise<void> {
  try {
    const answer = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    server.direct = answer[0]?.pid === answer.state.pid;
  } catch (thrown) {
    if (!isLostStatement(thrown)) throw thrown;
    server.lost = true;
  }
}

/**
 * To be sent ahead of statements that find a few rows by their keys. The plan of a prepared statement is kept, and so is that of a
 * foreign key's check: one that was made for tables of a page reads them from end to end when they have a thousand, until something
 * analyzes them. Until the transaction ends.
 */
export function preferIndexes(sql: Sql): Promise<unknown> {
  return sql`set local enable_seqscan = off`;
}

/** The server does not know a statement that we prepared (26000), or knows it already (42P05). */
function isLostStatement(thrown: unknown): boolean {
  return ['26000', '42P05'].includes(stateOf(thrown));
}

/**
 * A statement was prepared before somebody changed the type of a column that it reads. postgres.js tries it again by itself, in vain,
 * and until that has failed, all that is heard is that the next statement found the transaction aborted (25P02).
 */
function isOutdatedStatement(thrown: unknown): boolean {
  const { routine } = rootOf(thrown) as { routine?: unknown };
  return stateOf(thrown) === '25P02' || (stateOf(thrown) === '0A000' && routine === 'RevalidateCachedQuery');
}

function stateOf(thrown: unknown): string {
  return errorCode(rootOf(thrown)) ?? '';
}

/** The driver's own error. */
function rootOf(thrown: unknown): object {
  const { cause } = (thrown ?? {}) as { cause?: unknown };
  return Object(cause ?? thrown);
}
