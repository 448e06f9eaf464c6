/**
 * Writes the results of pending events in batches, each in one transaction that also removes them from the
 * pending table. If the database rejects a row, its batch is halved until the row is alone and is reported;
 * all others are stored.
 */
import type { Database } from '../database/connection.js';
import { isRefusedRow, violatedTable } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import type { Account } from '../database/tables/accounts.js';
import { adoptMeetings } from '../database/tables/adopt-meetings.js';
import { markDeleted } from '../database/tables/meetings.js';
import { dropPending, failPending } from '../database/tables/pending-events.js';
import { toCalendlySyncError } from '../errors.js';
import { type Applied, applyObservations } from '../resources/meetings/apply.js';
import type { Observation } from '../resources/meetings/diff.js';
import { externalId } from '../resources/meetings/rows.js';

/** The result of one pending event. */
export type Result =
  | { kind: 'observed'; uri: string; observation: Observation }
  | { kind: 'missing'; uri: string; reason: 'gone' | 'access_lost' }
  | { kind: 'failed'; uri: string; message: string };

/** What one transaction wrote. */
export interface Written {
  applied: Applied[];
  missing: ('deleted' | 'updated' | 'unchanged')[];
  failed: { uri: string; message: string }[];
}

export interface BatchWriter<T> {
  /** Adds an item; resolves when there is room for the next one. Rejects once a write has failed. */
  add(item: T): Promise<void>;
  /** Writes what is left. */
  flush(): Promise<void>;
}

const BATCH = 100;
/** How often a batch is looked at again because its meetings stand in `meetings` already. */
const MAX_LOOKS = 3;
/** A batch that does not fill up is written after so many ms, so that a crash loses little of what was read. */
const FLUSH_AFTER_MS = 1_000;

/** Collects items and writes them batch after batch; after a failed write, nothing more is written. */
export function createBatchWriter<T>(write: (batch: T[]) => Promise<void>): BatchWriter<T> {
  let buffer: T[] = [];
  let writing: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | null = null;
  let timer: NodeJS.Timeout | null = null;

  const flushNow = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    const batch = buffer;
    buffer = [];
    writing = writing.then(async () => {
      if (batch.length === 0 || failure) return;
      try {
        await write(batch);
      } catch (error) {
        failure = { error };
      }
    });
  };

  return {
    async add(item) {
      if (failure) throw failure.error;
      buffer.push(item);
      if (buffer.length >= BATCH) {
        flushNow();
        await writing;
      } else {
        timer ??= setTimeout(flushNow, FLUSH_AFTER_MS);
      }
    },
    async flush() {
      flushNow();
      await writing;
      if (failure) throw failure.error;
    },
  };
}

/** Writes a batch and yields what each transaction wrote: one, unless the database rejected a row. */
export async function* writeBatch(
  database: Database,
  account: Account,
  batch: Result[],
  looks = MAX_LOOKS,
): AsyncGenerator<Written> {
  let written: Written;
  try {
    written = await writeAll(database, account, batch);
  } catch (error) {
    if (!isRefusedRow(error)) throw error;
    // A unique key of `meetings`: a receiver or the application has inserted the same meeting in the meantime.
    if (looks > 0 && violatedTable(error) === 'meetings') {
      await adoptMeetings(database, { userId: account.userId });
      yield* writeBatch(database, account, batch, looks - 1);
      return;
    }
    const [only] = batch;
    if (batch.length === 1 && only) {
      const message = `not stored: ${toCalendlySyncError(error).message}`;
      yield* writeBatch(database, account, [{ kind: 'failed', uri: only.uri, message }], looks);
      return;
    }
    const half = Math.ceil(batch.length / 2);
    yield* writeBatch(database, account, batch.slice(0, half), looks);
    yield* writeBatch(database, account, batch.slice(half), looks);
    return;
  }
  yield written;
}

function writeAll(database: Database, { id, userId }: Account, batch: Result[]): Promise<Written> {
  const observations = batch.flatMap((result) => (result.kind === 'observed' ? result.observation : []));
  const failed = batch.filter((result) => result.kind === 'failed');
  const processed = batch.filter((result) => result.kind !== 'failed');
  return persistentTransaction(database, async (sql) => {
    const applied = await applyObservations(sql, userId, observations);
    const missing: Written['missing'] = [];
    for (const result of processed) {
      if (result.kind === 'missing')
        missing.push(await markDeleted(sql, userId, externalId(result.uri), result.reason));
    }
    for (const { uri, message } of failed) await failPending(sql, id, uri, message);
    const uris = processed.map(({ uri }) => uri);
    await dropPending(sql, id, uris);
    return { applied, missing, failed };
  });
}
