/**
 * One transaction on a client that nothing else uses meanwhile. `begin` of postgres.js is not used: it writes its
 * ROLLBACK to a connection that is lost, and prepares its COMMIT. Knows no pool.
 */
import type postgres from 'postgres';
import { type Build, textOf } from './literal-sql.js';
import { EXCEPT_FOR_READERS } from './row-security.js';

/** SQL inside one transaction. */
export interface Sql extends postgres.ISql {
  /** Runs `work` in a savepoint: when it throws, what it did is undone, and the transaction can go on. */
  savepoint<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

export interface TransactionOptions {
  /** Opens the transaction READ ONLY: the server refuses any write. A role with reader policies of ours may do so. */
  readOnly?: boolean;
  /**
   * How long the transaction may hold a connection to a server, in ms. Then it rejects, whether or not it was
   * committed, and all connections are replaced.
   */
  deadlineMs?: number;
  /** How long a statement waits for a lock, in ms; 5 s or the role's own limit if absent. */
  lockTimeoutMs?: number;
  /** The search_path to use instead of the database's own. */
  searchPath?: string | undefined;
}

/**
 * Without a limit, a lock on one of our tables would stop even a read forever. Shorter than the 10 s in which
 * a signal must be answered. A limit of the role's own stays; a deadline is a limit already.
 */
const LIMIT_LOCK_WAITS = `;
  select set_config('lock_timeout', '5s', true) where current_setting('lock_timeout') = '0'`;

function begin(readOnly: boolean, limit: string): string {
  // Without row_security, a role that policies apply to gets an error, instead of only some of the rows.
  const [mode, readers] = readOnly ? [' read only', `;${EXCEPT_FOR_READERS}`] : ['', ''];
  return `begin isolation level read committed${mode}; set local row_security = off${readers}${limit}`;
}

/** Runs one statement in a transaction of its own, as one message. */
export async function runStatement<Row extends object>(
  client: postgres.Sql,
  build: Build<Row>,
  searchPath: string | null,
): Promise<Row[]> {
  const statements = [begin(false, LIMIT_LOCK_WAITS), searchPath, textOf(build), 'commit'];
  try {
    const results: unknown = await client.unsafe(statements.filter((text) => text !== null).join(';\n'));
    // One result for each statement that returns rows, and the first one does.
    return (results as Row[][]).at(-1) ?? [];
  } catch (error) {
    // After any other error there is no connection: a rollback would open a new one.
    if ((error as { severity?: string }).severity === 'ERROR')
      await client.unsafe('rollback').catch(() => {});
    throw error;
  }
}

/**
 * Runs `work` between BEGIN and COMMIT, or ROLLBACK when it throws.
 * @param searchPath a statement to send first, or null
 */
export async function runTransaction<T>(
  client: postgres.Sql,
  work: (sql: Sql) => Promise<T>,
  { readOnly = false, deadlineMs, lockTimeoutMs }: TransactionOptions,
  searchPath: string | null,
): Promise<T> {
  // Awaited: if it fails, a statement sent right behind it would be committed on its own.
  const ownLimit = lockTimeoutMs === undefined ? '' : `; set local lock_timeout = ${lockTimeoutMs}`;
  const limit = deadlineMs === undefined ? ownLimit || LIMIT_LOCK_WAITS : '';
  await client.unsafe(begin(readOnly, limit));
  // Fails only if the connection is lost, and then Postgres has undone everything.
  const undo = (rollback: string) => client.unsafe(rollback).catch(() => {});
  let savepoints = 0;
  const sql: Sql = Object.assign(client, {
    async savepoint<R>(inner: (sql: Sql) => Promise<R>): Promise<R> {
      const name = `s${savepoints++}`;
      await client.unsafe(`savepoint ${name}`);
      try {
        return await inner(sql);
      } catch (error) {
        await undo(`rollback to ${name}`);
        throw error;
      }
    },
  });
  try {
    // Not awaited: it travels together with the first statement of `work`.
    if (searchPath !== null) client.unsafe(searchPath).catch(() => {});
    const result = await work(sql);
    const { command } = await client.unsafe('commit');
    // What an error has aborted cannot be committed, even if `work` has caught the error.
    if (command !== 'COMMIT')
      throw new Error('the transaction was rolled back because one of its statements had failed');
    return result;
  } catch (error) {
    await undo('rollback');
    throw error;
  }
}

/**
 * To be sent ahead of statements that find a few rows by their keys. The plan of a prepared statement is kept, and so
 * is that of a foreign key's check: a plan made while the tables were small reads them completely when they have
 * grown, until something analyzes them. Lasts until the transaction ends.
 */
export function preferIndexes(sql: Sql): Promise<unknown> {
  // Sent now: a query waits for its `then`, which statements that are built after it may reach first.
  return sql`set local enable_seqscan = off`.execute();
}
