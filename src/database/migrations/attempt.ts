/**
 * One transaction under the migration lock, tried again until it is its turn. The lock belongs to the transaction and is
 * asked for, never waited in: a session lock does not hold behind a pooler, and a waiter would deadlock with CREATE INDEX CONCURRENTLY.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { CalendlySyncError } from '../../errors.js';
import type { Database, Sql } from '../connection.js';
import { codeOf } from '../failures.js';

export interface Attempt {
  /** How long one statement waits for a lock of the application, in ms. */
  lockTimeoutMs?: number | undefined;
  /** How long to keep trying altogether, in ms. */
  maxWaitMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

const LOCK_TIMEOUT_MS = 1_000;
const MAX_WAIT_MS = 60_000;
const BUSY = Symbol('busy');

/** Runs `work` in a transaction that holds the migration lock; lock timeouts and deadlocks start it anew. */
export async function whenFree<T>(
  database: Database,
  options: Attempt,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const end = performance.now() + (options.maxWaitMs ?? MAX_WAIT_MS);
  const lockTimeout = `${options.lockTimeoutMs ?? LOCK_TIMEOUT_MS}ms`;
  for (let attempt = 0; ; attempt++) {
    options.signal?.throwIfAborted();
    const cause = await database
      .transaction(async (sql) => {
        const [row] = await sql`
          select set_config('lock_timeout', ${lockTimeout}, true),
            set_config('idle_in_transaction_session_timeout', '60s', true),
            pg_try_advisory_xact_lock(hashtextextended('calendly-sync migrate', 0)) as mine`;
        return row?.mine ? { value: await work(sql) } : BUSY;
      })
      .catch((thrown: unknown) => {
        const root = thrown instanceof CalendlySyncError ? thrown.cause : thrown;
        if (['55P03', '40P01', '40001'].includes(codeOf(root) ?? '')) return { blocked: root };
        throw thrown;
      });
    if (cause !== BUSY && 'value' in cause) return cause.value;
    const wait = Math.min(5_000, 50 * 2 ** Math.min(attempt, 7)) * (0.5 + Math.random() / 2);
    if (performance.now() + wait > end) {
      throw new CalendlySyncError(
        'locked',
        cause === BUSY ? 'Another migration is running.' : 'A query holds a lock.',
        {
          hint: 'Run the same command again later.',
        },
      );
    }
    await pause(wait, undefined, options.signal ? { signal: options.signal } : {});
  }
}
