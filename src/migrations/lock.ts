/**
 * One transaction under the migration lock, tried again until it is its turn. The lock belongs to the transaction and is
 * asked for, never waited in: a session lock does not hold behind a pooler, and a waiter would deadlock with CREATE INDEX CONCURRENTLY.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database, Sql } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { CalendlySyncError } from '../errors.js';
import { describeHolder, type LockHolder, readLockHolders, readMigrator } from './lock-holders.js';

/** What migrations tell while they run. */
export type MigrationEvent =
  /** A query of the application holds a table; the file starts anew after the pause. */
  | { kind: 'blocked'; file: string; holders: LockHolder[]; pauseMs: number }
  /** Another process migrates this database; told once. */
  | { kind: 'busy'; file: string }
  /** Long work, with what is known of it: told again and again. */
  | { kind: 'progress'; file: string; text: string };

/** How patient to be, and whom to tell. */
export interface Attempt {
  /** How long one statement waits for a lock at most, and with it everybody who queues behind it, in ms. */
  lockTimeoutMs?: number | undefined;
  /** How long to keep trying for one file, in ms. */
  maxWaitMs?: number | undefined;
  signal?: AbortSignal | undefined;
  onEvent?: ((event: MigrationEvent) => void) | undefined;
}

/** Returned by `work`: somebody else is at it, let them go first. */
export const RETRY_LATER: unique symbol = Symbol('yield');

export const DEFAULT_LOCK_TIMEOUT_MS = 1_000;
export const DEFAULT_MAX_WAIT_MS = 60_000;
/** For statements of ordinary files: they change catalogs, not rows. */
const STATEMENT_TIMEOUT_MS = 60_000;
const LOCK_KEY = 'calendly-sync migrate';
const LOCK_CODES = new Set(['55P03', '40P01', '40001']);

interface Work<T> {
  /** Name of the file, for events and errors. */
  file: string;
  /** Whether its statements may take long. */
  slow: boolean;
  run(sql: Sql): Promise<T | typeof RETRY_LATER>;
}

/**
 * Runs `work` in a transaction that holds the migration lock. A lock timeout, a deadlock or a serialization failure rolls
 * back and starts it anew, after growing pauses.
 * @throws CalendlySyncError `locked` when the time is up; nothing of this work is changed then
 */
export async function withMigrationLock<T>(database: Database, options: Attempt, work: Work<T>): Promise<T> {
  const { signal, onEvent, lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS } = options;
  const end = performance.now() + (options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS);
  let busy = 0;
  let blocked = 0;
  for (;;) {
    if (signal?.aborted) throw stoppedError(work.file);
    const outcome = await once(database, work, lockTimeoutOf(blocked, lockTimeoutMs)).catch(
      (thrown: unknown) => {
        if (signal?.aborted) throw stoppedError(work.file);
        throw thrown;
      },
    );
    if ('value' in outcome) return outcome.value;
    const pauseMs = jittered(outcome.blocked ? 100 * 2 ** blocked++ : 100 * 1.2 ** busy++);
    const late = performance.now() + pauseMs > end;
    if (outcome.blocked) {
      const holders = await readLockHolders(database);
      if (late) throw blockedError(work.file, holders, outcome.blocked);
      onEvent?.({ kind: 'blocked', file: work.file, holders, pauseMs });
    } else {
      if (late) throw await busyError(database, work.file);
      if (busy === 1) onEvent?.({ kind: 'busy', file: work.file });
    }
    await pause(pauseMs, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

/**
 * The first tries wait only shortly, because readers queue behind a waiting ALTER TABLE: most locks of an application are
 * gone in that time. Only the fourth try and those after it use the whole lock timeout.
 */
export function lockTimeoutOf(triesBefore: number, longestMs: number): number {
  return Math.max(1, Math.round(Math.min(longestMs, (longestMs / 8) * 2 ** triesBefore)));
}

function jittered(ms: number): number {
  return Math.min(5_000, ms) * (0.5 + Math.random() / 2);
}

async function once<T>(
  database: Database,
  work: Work<T>,
  lockTimeoutMs: number,
): Promise<{ value: T } | { blocked: unknown }> {
  try {
    return await database.transaction(async (sql) => {
      // A transaction that waits for the next statement of a process that is gone must not hold tables for ever.
      const [row] = await sql`
        select pg_try_advisory_xact_lock(hashtextextended(${LOCK_KEY}, 0)) as mine,
          set_config('lock_timeout', ${`${lockTimeoutMs}ms`}, true),
          set_config('statement_timeout', ${work.slow ? '0' : `${STATEMENT_TIMEOUT_MS}ms`}, true),
          set_config('idle_in_transaction_session_timeout', ${work.slow ? '0' : `${STATEMENT_TIMEOUT_MS}ms`}, true),
          case when current_setting('server_version_num')::integer >= 170000 then set_config('transaction_timeout', '0', true) end`;
      const value = row?.mine ? await work.run(sql) : RETRY_LATER;
      return value === RETRY_LATER ? { blocked: null } : { value };
    });
  } catch (thrown) {
    let root = thrown;
    while (root instanceof CalendlySyncError && root.cause !== undefined) root = root.cause;
    if (LOCK_CODES.has(errorCode(root) ?? '')) return { blocked: root };
    throw thrown;
  }
}

function blockedError(file: string, holders: LockHolder[], cause: unknown): CalendlySyncError {
  const who = holders.map(describeHolder).join('\n');
  return new CalendlySyncError(
    'locked',
    `${file}: waited in vain for a table that the application holds; nothing of this file was changed.${who && `\n${who}`}`,
    {
      hint: 'Run the same command again when that query has ended, or give it longer with --max-wait 10m.',
      cause,
    },
  );
}

async function busyError(database: Database, file: string): Promise<CalendlySyncError> {
  const holder = await readMigrator(database, LOCK_KEY);
  const who = holder
    ? ` (process ${holder.pid}, ${holder.application}, for ${Math.round(holder.ageMs / 1_000)} s)`
    : '';
  return new CalendlySyncError('locked', `${file}: another process is migrating this database${who}.`, {
    hint: 'Run the same command again later.',
  });
}

/** A stop that was asked for, between two attempts or inside one. */
export function stoppedError(file: string): CalendlySyncError {
  return new CalendlySyncError('stopped', `Stopped before ${file}; nothing of it was changed.`, {
    hint: 'Run the same command again to go on from there.',
  });
}
