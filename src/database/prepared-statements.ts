/**
 * Statements that are prepared once per connection and then only executed, for a process that runs the same few of
 * them all day. Only on connections that lead to a Postgres process directly: a pooler in transaction mode gives each
 * transaction another process, which does not know them. postgres.js would retry such a loss inside the transaction
 * that it has aborted; a lost COMMIT would become a silent rollback.
 */
import type postgres from 'postgres';
import { sqlState } from './errors.js';
import { createPool, type Pool } from './pool.js';
import type { Sql } from './transaction.js';

/** A pool whose connections prepare statements where they can keep them. */
export function createPreparingPool(
  max: number,
  open: (prepare: boolean, onclose: () => void) => postgres.Sql,
): Pool {
  let pooled = false;
  const pool = createPool(max, async (onclose) => {
    if (pooled) return open(false, onclose);
    const client = open(true, () => pooled || onclose());
    if (await isDirect(client)) return client;
    pooled = true;
    await client.end({ timeout: 0 });
    return open(false, onclose);
  });
  return {
    ...pool,
    async run(work) {
      try {
        return await pool.run(work);
      } catch (error) {
        if (!isOutdatedStatement(error)) throw error;
      }
      // Its transaction was rolled back, so it can run again. The other connections have prepared the same statement.
      pool.renew();
      return pool.run(work);
    },
  };
}

/** Whether a client's connection leads to a Postgres process directly: a pooler announces process ids of its own. */
export async function isDirect(client: postgres.Sql): Promise<boolean> {
  const rows = await client.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
  return rows[0]?.pid === rows.state.pid;
}

/**
 * To be sent ahead of statements that find a few rows by their keys. The plan of a prepared statement is kept, and so
 * is that of a foreign key's check: a plan made while the tables were small reads them completely when they have
 * grown, until something analyzes them. Lasts until the transaction ends.
 */
export function preferIndexes(sql: Sql): Promise<unknown> {
  return sql`set local enable_seqscan = off`;
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
