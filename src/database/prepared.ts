/**
 * A server whose statements are prepared once and then only executed, for a process that runs the same few of them all day. A
 * pooler in transaction mode does not keep prepared statements: the first time that shows, everything goes on without them.
 */
import type { Database, Sql } from './connection.js';
import { codeOf } from './failures.js';

/**
 * @param open opens the server, with prepared statements or without
 */
export function preparingServer(open: (prepare: boolean) => Database): Database {
  let current = open(true);
  let prepares = true;
  const retired: Promise<void>[] = [];

  function giveUpPreparing(): void {
    if (!prepares) return;
    prepares = false;
    // What runs on it may end; nothing new begins there.
    retired.push(current.close());
    current = open(false);
  }

  return {
    get kind() {
      return current.kind;
    },
    get label() {
      return current.label;
    },
    get schema() {
      return current.schema;
    },
    async transaction(work, options) {
      const used = current;
      try {
        return await used.transaction(work, options);
      } catch (thrown) {
        // Its transaction was rolled back, so that it can be done again.
        if (!isLostStatement(thrown) || (used === current && !prepares)) throw thrown;
        giveUpPreparing();
        return current.transaction(work, options);
      }
    },
    statement: (text, options) => current.statement(text, options),
    async close() {
      await Promise.all([current.close(), ...retired]);
    },
  };
}

/**
 * To be sent ahead of statements that find a few rows by their keys. The plan of a prepared statement is kept, and one that was
 * made for empty tables reads them from end to end, for as long as nothing analyzes them. Until the transaction ends.
 */
export function preferIndexes(sql: Sql): Promise<unknown> {
  return sql`set local enable_seqscan = off`;
}

/** The server does not know a statement that we prepared (26000), or knows it already (42P05). */
function isLostStatement(thrown: unknown): boolean {
  const code = codeOf((thrown as { cause?: unknown } | null)?.cause ?? thrown);
  return code === '26000' || code === '42P05';
}
