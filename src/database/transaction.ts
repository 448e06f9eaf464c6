/**
 * One transaction on a client that nothing else uses meanwhile. `begin` of postgres.js is not used: it writes its
 * ROLLBACK to a connection that is lost, and prepares its COMMIT. Knows no pool.
 */
import type postgres from 'postgres';

/** SQL inside one transaction. */
export interface Sql extends postgres.ISql {
  /** Runs `work` in a savepoint: when it throws, what it did is undone, and the transaction can go on. */
  savepoint<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

/** Runs `work` between BEGIN and COMMIT, or ROLLBACK when it throws. */
export async function runTransaction<T>(
  client: postgres.Sql,
  work: (sql: Sql) => Promise<T>,
  { readOnly, searchPath }: { readOnly: boolean; searchPath: string | undefined },
): Promise<T> {
  await client.unsafe(`begin isolation level read committed${readOnly ? ' read only' : ''}`);
  let savepoints = 0;
  const sql: Sql = Object.assign(client, {
    async savepoint<R>(inner: (sql: Sql) => Promise<R>): Promise<R> {
      const name = `s${savepoints++}`;
      await client.unsafe(`savepoint ${name}`);
      try {
        return await inner(sql);
      } catch (error) {
        await undo(client, `rollback to ${name}`);
        throw error;
      }
    },
  });
  try {
    // Not awaited: it travels together with the first statement of `work`.
    if (searchPath !== undefined) client.unsafe(searchPath).catch(() => {});
    const result = await work(sql);
    const { command } = await client.unsafe('commit');
    // What an error has aborted cannot be committed, even if `work` has caught the error.
    if (command !== 'COMMIT')
      throw new Error('the transaction was rolled back because one of its statements had failed');
    return result;
  } catch (error) {
    await undo(client, 'rollback');
    throw error;
  }
}

/** It fails only if the connection is lost, and then Postgres has undone everything. */
async function undo(client: postgres.Sql, rollback: string): Promise<void> {
  await client.unsafe(rollback).catch(() => {});
}
