/** Transactions that are retried while the database is away or restarting, or after a deadlock. */
import { retry } from '../retry.js';
import type { Database, Sql, TransactionOptions } from './connection.js';
import { isTransient } from './errors.js';
import type { Build } from './literal-sql.js';

/** With a first pause of 0.2 s: about a minute in all. That outlives a restart of the server, not an outage. */
const RETRIES = 8;
const RETRY_PAUSE_MS = 200;

/**
 * `database.transaction`, retried on transient failures. The work must be safe to repeat: it also runs again when the
 * response to its commit was lost.
 */
export function persistentTransaction<T>(
  database: Database,
  work: (sql: Sql) => Promise<T>,
  signal?: AbortSignal,
  options?: TransactionOptions,
): Promise<T> {
  return persistently(() => database.transaction(work, options), signal);
}

/** `database.query`, retried in the same way. */
export function persistentQuery<Row extends object>(
  database: Database,
  build: Build<Row>,
  signal?: AbortSignal,
): Promise<Row[]> {
  return persistently(() => database.query(build), signal);
}

function persistently<T>(attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return retry(attempt, { retries: RETRIES, pauseMs: RETRY_PAUSE_MS, shouldRetry: isTransient, signal });
}
