/**
 * Steps that run one after the other, each in a transaction of its own under the migration lock, tried again until
 * it is their turn. The lock belongs to the transaction and is tried, never waited for: a session lock does not hold
 * behind a pooler.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { cancellable } from '../database/cancel.js';
import type { Database, Sql } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { quoteText } from '../database/literal-sql.js';
import { formatDuration } from '../duration.js';
import { CalendlySyncError } from '../errors.js';
import { LOCK_KEY, readLockHolders } from './lock-holders.js';

/** What migrations report while they run. */
export interface MigrationEvent {
  /**
   * A query of the application holds a table, and the step starts again after a pause; or, reported once each: another
   * process migrates this database, a sync is running.
   */
  kind: 'blocked' | 'busy' | 'syncing';
  /** In the operator's words, with the name of the file; for `blocked` one more line per session that holds it. */
  message: string;
}

export interface LockOptions {
  /** How long one statement waits for a lock at most, and with it everybody who queues behind it, in ms. */
  lockTimeoutMs?: number | undefined;
  /** How long to keep trying for one step, in ms. */
  maxWaitMs?: number | undefined;
  /** Wait for a running sync (up to `maxWaitMs`), instead of failing. */
  waitForSync?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onEvent?: ((event: MigrationEvent) => void) | undefined;
  /** The search_path to use instead of the database's own. */
  path?: string | undefined;
}

/** What a step works with. */
export interface Locked {
  sql: Sql;
  /**
   * Runs text as one request; canceled on the server when the signal comes. The rows of its last statement that has
   * any.
   */
  query<Row extends object>(text: string): Promise<Row[]>;
}

export interface Step<T> {
  /** Name of the file, for events and errors. */
  file: string;
  /** It may read many rows: no statement timeout. */
  slow?: boolean;
  /** A query that travels with the request for the lock. `follows`: a step before it has run. */
  lookup(follows: boolean): string;
  /** Statements that travel with it too. */
  prepare?: string;
  run(locked: Locked, found: object[]): Promise<T | typeof RETRY_LATER>;
}

/** Returned by a step: somebody else is at it, let them go first. */
export const RETRY_LATER: unique symbol = Symbol('retry later');

export const DEFAULT_LOCK_TIMEOUT_MS = 1_000;
const DEFAULT_MAX_WAIT_MS = 60_000;
/** For statements of ordinary files, which change catalogs and not rows. */
const STATEMENT_TIMEOUT_MS = 60_000;
/** How long a canceled statement may take to end, and a server that stopped answering to be given up. */
const GRACE_MS = 4_000;
const LOCK_CODES = new Set(['55P03', '40P01', '40001']);

/** Thrown by a step: a sync is running. Waited for with `waitForSync`, else it ends the command. */
export class SyncRunningError extends CalendlySyncError {
  constructor(readonly by: string) {
    super('locked', `A sync is running (${by}); nothing was changed.`, {
      hint: 'Run the same command again when it has ended, or wait for it with --wait.',
    });
  }
}

/**
 * Runs the steps in order. A lock timeout, a deadlock or a serialization failure rolls the step back and starts it
 * again after growing pauses. Results go to `done` as soon as their transaction is committed.
 * @throws CalendlySyncError `locked` when the time is up; `stopped`. Nothing of the step at hand is changed then
 */
export async function runUnderLock<T>(
  database: Database,
  options: LockOptions,
  steps: Step<T>[],
  done: T[],
): Promise<void> {
  const { signal, onEvent, lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS } = options;
  let wait = { busy: 0, blocked: 0, end: 0 };
  for (let before = -1; done.length < steps.length; ) {
    const file = steps[done.length]?.file ?? '';
    if (done.length > before) {
      wait = { busy: 0, blocked: 0, end: performance.now() + (options.maxWaitMs ?? DEFAULT_MAX_WAIT_MS) };
      before = done.length;
    }
    if (signal?.aborted) throw stoppedError(file);
    const timeout = lockTimeoutOf(wait.blocked, lockTimeoutMs);
    const outcome = await attempt(database, options, steps, done, timeout, wait.end);
    if (outcome === 'done' || done.length > before) continue;
    const pauseMs = jittered(outcome === 'busy' ? 100 * 1.2 ** wait.busy++ : 100 * 2 ** wait.blocked++);
    const late = performance.now() + pauseMs > wait.end;
    const report = (kind: MigrationEvent['kind'], message: string) =>
      onEvent?.({ kind, message: `${file}: ${message}` });
    if (outcome === 'busy') {
      const message = 'another process is migrating this database';
      if (late) throw lockedError(file, message, await readLockHolders(database, 'migrations'));
      if (wait.busy === 2) report('busy', `${message}; waiting for it.`);
    } else if (outcome.blocked instanceof SyncRunningError) {
      if (late || !options.waitForSync) throw outcome.blocked;
      if (wait.blocked === 1) report('syncing', `a sync is running (${outcome.blocked.by}); waiting for it.`);
    } else {
      const holders = await readLockHolders(database, 'tables');
      if (late) {
        const message =
          'timed out waiting for a lock held by the application; nothing of this file was changed';
        throw lockedError(file, message, holders, outcome.blocked);
      }
      const what = holders.length === 0 ? 'a table was locked for a moment' : 'a table is in use';
      const again = `${what}; trying again in ${formatDuration(pauseMs)}.`;
      report('blocked', [again, ...holders].join('\n  '));
    }
    await pause(pauseMs, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

/** Gives an error what was done before it, so that nobody has to guess how far a command came. */
export async function withResult(
  work: Promise<void>,
  done: readonly unknown[],
  result: () => object,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CalendlySyncError && done.some(Boolean)) error.result = result();
    throw error;
  }
}

/**
 * The first tries wait only shortly, because readers queue behind a waiting ALTER TABLE: most locks of an
 * application are gone in that time. Only the fourth try and those after it use the whole lock timeout.
 */
export function lockTimeoutOf(triesBefore: number, maxMs: number): number {
  return Math.max(1, Math.round(Math.min(maxMs, (maxMs / 8) * 2 ** triesBefore)));
}

function jittered(ms: number): number {
  return Math.min(5_000, ms) * (0.5 + Math.random() / 2);
}

/** One connection, from the first step that is not done: as many steps as it gets the lock for. */
async function attempt<T>(
  database: Database,
  options: LockOptions,
  steps: Step<T>[],
  done: T[],
  lockTimeoutMs: number,
  end: number,
): Promise<'done' | 'busy' | { blocked: unknown }> {
  const { signal } = options;
  const first = done.length;
  // Of a step that has run and is not committed yet.
  const results: T[] = [];
  const work = (begun: () => void) =>
    database.transaction(
      async (sql) => {
        const query = async <Row extends object>(text: string): Promise<Row[]> => {
          const result = await cancellable(sql.unsafe(text).execute(), signal);
          const several = Array.isArray(result[0])
            ? (result as unknown as Row[][])
            : [result as unknown as Row[]];
          return several.findLast((rows) => rows.length > 0) ?? [];
        };
        let path = options.path;
        for (const [index, step] of steps.slice(first).entries()) {
          const committed = index === 0 ? null : query('commit and chain');
          const asked = query<{ mine: boolean; path: string }>(settings(step, lockTimeoutMs, path));
          const lookup = query(step.lookup(first + index > 0));
          const prepared = step.prepare ? query(step.prepare) : null;
          const [, [state], found] = await all([committed, asked, lookup, prepared] as const);
          begun();
          done.push(...results.splice(0));
          if (!state?.mine) return 'busy';
          if (database.schema !== null) path ??= state.path;
          const value = await step.run({ sql, query }, found);
          if (value === RETRY_LATER) return 'busy';
          results.push(value);
        }
        return 'done';
      },
      { searchPath: options.path },
    );
  try {
    const outcome = await inTime(steps[first]?.file ?? '', signal, end - performance.now(), work);
    done.push(...results);
    return outcome;
  } catch (error) {
    if (signal?.aborted) throw stoppedError(steps[done.length]?.file ?? '');
    let root = error;
    while (root instanceof CalendlySyncError && root.cause !== undefined) root = root.cause;
    if (root instanceof SyncRunningError || LOCK_CODES.has(errorCode(root) ?? '')) return { blocked: root };
    throw error;
  }
}

/** All of them, or the error of the first that failed; none is left without a handler. */
async function all<T extends readonly unknown[]>(
  queries: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(queries);
  return Promise.all(queries);
}

/** Takes the lock if it is free, and sets what lasts as long as the transaction. */
function settings({ slow }: Step<unknown>, lockTimeoutMs: number, path: string | undefined): string {
  // A transaction that waits for the next statement of a process that is gone must not hold tables for ever.
  const timeout = slow ? 0 : STATEMENT_TIMEOUT_MS;
  return `select pg_try_advisory_xact_lock(hashtextextended('${LOCK_KEY}', 0)) as mine,
    set_config('lock_timeout', '${lockTimeoutMs}ms', true), set_config('statement_timeout', '${timeout}ms', true),
    set_config('idle_in_transaction_session_timeout', '${timeout}ms', true),
    set_config('row_security', 'off', true), set_config('check_function_bodies', 'on', true),
    case when current_setting('server_version_num')::integer >= 170000 then set_config('transaction_timeout', '0', true) end,
    ${path === undefined ? `current_setting('search_path')` : `set_config('search_path', ${quoteText(path)}, true)`} as path`;
}

/**
 * Ends a wait that nothing else would end: for a connection that never comes (unless `work` calls `begun` in time), and
 * for a server that ignores the cancel.
 * @throws CalendlySyncError `locked`, `stopped`
 */
export function inTime<T>(
  file: string,
  signal: AbortSignal | undefined,
  ms = DEFAULT_MAX_WAIT_MS,
  work: (begun: () => void) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const noConnection = setTimeout(
      () => {
        const hint =
          'The pooler or the server has none left: end other sessions, or give it longer with --max-wait 10m.';
        const message = `${file}: waited too long for a connection to the database.`;
        reject(new CalendlySyncError('locked', message, { hint }));
      },
      Math.max(1_000, ms),
    );
    let grace: NodeJS.Timeout | undefined;
    const onAbort = () => {
      grace = setTimeout(() => reject(stoppedError(file)), GRACE_MS);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const begun = () => clearTimeout(noConnection);
    work(begun)
      .finally(() => {
        begun();
        clearTimeout(grace);
        signal?.removeEventListener('abort', onAbort);
      })
      .then(resolve, reject);
  });
}

function lockedError(file: string, message: string, holders: string[], cause?: unknown): CalendlySyncError {
  return new CalendlySyncError('locked', `${file}: ${[`${message}.`, ...holders].join('\n')}`, {
    hint: 'Run the same command again when that has ended, or give it longer with --max-wait 10m.',
    cause,
  });
}

/** A stop that was asked for, between two tries or inside one. */
function stoppedError(file: string): CalendlySyncError {
  return new CalendlySyncError('stopped', `Stopped before ${file}; nothing of it was changed.`, {
    hint: 'Run the same command again to go on from there.',
  });
}
