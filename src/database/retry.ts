/** Transactions that are tried again while the database is away, restarting, or chose them as a deadlock's victim. */
import pRetry from 'p-retry';
import type { Database, Sql } from './connection.js';
import { isTransient } from './errors.js';

/** Pauses of about 0.2, 0.4, 0.8 … 10 s: a restart of the server is outlived, an outage is not waited for. */
const RETRIES = 8;

/**
 * `database.transaction`, repeated on failures that pass. The work must bear being done twice: a commit whose answer was lost
 * is repeated too.
 */
export function persistentTransaction<T>(
  database: Database,
  work: (sql: Sql) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return pRetry(() => database.transaction(work), {
    retries: RETRIES,
    minTimeout: 200,
    maxTimeout: 10_000,
    randomize: true,
    ...(signal ? { signal } : {}),
    shouldRetry: ({ error }) => isTransient(error),
  });
}
