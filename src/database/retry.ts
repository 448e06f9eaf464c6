/** Transactions that are retried while the database is away or restarting, or after a deadlock. */
import { retry } from '../retry.js';
import type { Database, Sql } from './connection.js';
import { isTransient } from './errors.js';

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
): Promise<T> {
  return retry(() => database.transaction(work), {
    retries: RETRIES,
    pauseMs: RETRY_PAUSE_MS,
    shouldRetry: isTransient,
    signal,
  });
}
