/**
 * One transaction on a client that nothing else uses meanwhile. `begin` of postgres.js is not used: it writes its
 * ROLLBACK to a connection that is lost, and prepares its COMMIT. Knows no pool.
 */
import type postgres from 'postgres';
import { type Build, textOf, withLiterals } from './literal-sql.js';
import { EXCEPT_FOR_READERS } from './row-security.js';

/** SQL inside one transaction. */
export interface Sql extends postgres.ISql {
  /**
   * Resolves when the transaction has begun. With `limits` its first statements travel with BEGIN: await this beside
   * them, and let them write nothing unless `HAS_BEGUN`.
   */
  begun: Promise<unknown>;
  /**
   * Commits with the last statements: COMMIT travels with them, so they must be sent without waiting for a response. If
   * one fails, all is rolled back, as ever. Resolves to their result after the commit.
   */
  commitWith<T>(last: Promise<T>): Promise<T>;
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
  /** For a short transaction with few round trips: BEGIN is not awaited, and its waits are limited. */
  limits?: WaitLimits | undefined;
}

/** How long a transaction waits for others. Behind a pooler the settings end with it. */
export interface WaitLimits {
  /** For one lock, in ms. */
  lockMs: number;
  /** For one statement, in ms. */
  statementMs: number;
}

/** How long Postgres waits for our next statement, in ms: then it ends a session whose process has died. */
const IDLE_MS = 5_000;
/** For the whole transaction, in ms: more than its deadline here. */
const TRANSACTION_MS = 16_000;

/** True in a transaction with `limits`, false in a statement that was sent behind a BEGIN that has failed. */
export const HAS_BEGUN = `coalesce(current_setting('calendly_sync.begun', true), '') = 'on'`;

/** Finds rows by index, as `preferIndexes` does, and limits waits: until the transaction ends, or the session. */
function limitWaits({ lockMs, statementMs }: WaitLimits, isLocal = true): string {
  const settings = {
    enable_seqscan: 'off',
    lock_timeout: `${lockMs}ms`,
    statement_timeout: `${statementMs}ms`,
    idle_in_transaction_session_timeout: `${IDLE_MS}ms`,
    'calendly_sync.begun': 'on',
  };
  const all = Object.entries(settings).map(
    ([name, value]) => `; set ${isLocal ? 'local' : 'session'} ${name} = '${value}'`,
  );
  // From Postgres 17 on: ends what `idle_in_transaction_session_timeout` does not, a session that was cut in mid-message.
  return `${all.join('')};
    select set_config(name, '${TRANSACTION_MS}ms', ${isLocal}) from (select 'transaction_timeout' as name) as wanted
    where current_setting(name, true) <> ''`;
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

/**
 * The settings of a session that runs nothing but single statements with these limits: there each is a transaction of its
 * own, without BEGIN and COMMIT. Only on a direct connection: a pooler would give the session to others.
 */
export function sessionSettings(limits: WaitLimits, searchPath: string | null): string {
  const settings = "set default_transaction_isolation = 'read committed'; set row_security = off";
  return `${settings}${limitWaits(limits, false)}${searchPath === null ? '' : `; ${searchPath}`}`;
}

/** Runs one statement in a transaction of its own, as one message. */
export async function runStatement<Row extends object>(
  client: postgres.Sql,
  build: Build<Row>,
  { limits }: TransactionOptions,
  searchPath: string | null,
): Promise<Row[]> {
  const opening = begin(false, limits ? limitWaits(limits) : LIMIT_LOCK_WAITS);
  const statements = [opening, searchPath, textOf(build), 'commit'];
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

/** Where nothing is prepared, a short transaction has its parameters in the text of its statements. */
function sqlFor(client: postgres.Sql, limits: WaitLimits | undefined): postgres.Sql {
  return limits && !client.options.prepare ? withLiterals(client) : client;
}

/**
 * Runs `work` between BEGIN and COMMIT, or ROLLBACK when it throws.
 * @param searchPath a statement to send first, or null
 */
export async function runTransaction<T>(
  client: postgres.Sql,
  work: (sql: Sql) => Promise<T>,
  { readOnly = false, deadlineMs, lockTimeoutMs, limits }: TransactionOptions,
  searchPath: string | null,
): Promise<T> {
  const ownLimit = lockTimeoutMs === undefined ? '' : `; set local lock_timeout = ${lockTimeoutMs}`;
  const limit = limits ? limitWaits(limits) : deadlineMs === undefined ? ownLimit || LIMIT_LOCK_WAITS : '';
  const begun = client.unsafe(begin(readOnly, limit)).execute();
  // If it fails, a statement sent right behind it would be committed on its own.
  if (!limits) await begun;
  // Awaited by the work.
  else begun.catch(() => {});
  // Fails only if the connection is lost, and then Postgres has undone everything.
  const undo = (rollback: string) => client.unsafe(rollback).catch(() => {});
  let savepoints = 0;
  let committed: Promise<unknown> | null = null;
  async function commit(): Promise<void> {
    const { command } = await client.unsafe('commit');
    // What an error has aborted cannot be committed, even if `work` has caught the error.
    if (command !== 'COMMIT')
      throw new Error('the transaction was rolled back because one of its statements had failed');
  }
  const sql: Sql = Object.assign(sqlFor(client, limits), {
    begun,
    async commitWith<R>(last: Promise<R>): Promise<R> {
      last.catch(() => {});
      // By then all of them are sent.
      await new Promise(setImmediate);
      committed = commit();
      const [result] = await Promise.allSettled([last, committed, begun]);
      await begun;
      if (result.status === 'rejected') throw result.reason;
      await committed;
      return result.value;
    },
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
    await (committed ?? commit());
    return result;
  } catch (error) {
    if (committed === null) await undo('rollback');
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
