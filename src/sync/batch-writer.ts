/**
 * Results on their way into the database: gathered into batches, each written in one transaction together with the removal of its
 * pending rows. A batch that is refused for a row's sake is halved until that row stands alone and is reported; the others go in.
 */
import type { Database } from '../database/connection.js';
import { isRefusedRow } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import { markDeleted } from '../database/tables/meetings.js';
import { dropPending, failPending } from '../database/tables/pending-events.js';
import { toCalendlySyncError } from '../errors.js';
import { type Applied, applyObservations } from '../resources/meetings/apply.js';
import type { Observation } from '../resources/meetings/diff.js';
import { externalId } from '../resources/meetings/rows.js';

/** What became of one pending event. */
export type Result =
  | { kind: 'observed'; uri: string; observation: Observation }
  | { kind: 'missing'; uri: string; reason: 'gone' | 'access_lost' }
  | { kind: 'failed'; uri: string; message: string };

export interface WriterOptions {
  database: Database;
  accountId: string;
  userId: string;
  onApplied(applied: Applied): void;
  onMissing(outcome: 'deleted' | 'updated' | 'unchanged'): void;
  onFailed(uri: string, message: string): void;
}

export interface Writer {
  /** Takes a result; resolves when there is room for the next one. Rejects once writing has failed for good. */
  add(result: Result): Promise<void>;
  /** Writes what is left. */
  flush(): Promise<void>;
}

const BATCH = 100;
/** A batch that does not fill up is written after so many ms: what was read is not lost to a crash minutes later. */
const FLUSH_AFTER_MS = 1_000;

export function createWriter(options: WriterOptions): Writer {
  let buffer: Result[] = [];
  let writing: Promise<void> = Promise.resolve();
  let failure: { thrown: unknown } | null = null;
  let timer: NodeJS.Timeout | null = null;

  const flushNow = () => {
    if (timer) clearTimeout(timer);
    timer = null;
    const batch = buffer;
    buffer = [];
    writing = writing.then(async () => {
      if (batch.length === 0 || failure) return;
      try {
        await writeBatch(options, batch);
      } catch (thrown) {
        failure = { thrown };
      }
    });
  };

  return {
    async add(result) {
      if (failure) throw failure.thrown;
      buffer.push(result);
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
      if (failure) throw failure.thrown;
    },
  };
}

async function writeBatch(options: WriterOptions, batch: Result[]): Promise<void> {
  const { database, accountId, userId } = options;
  try {
    const done = await persistentTransaction(database, async (sql) => {
      const observations = batch
        .filter((one) => one.kind === 'observed')
        .map(({ observation }) => observation);
      const applied = await applyObservations(sql, userId, observations);
      const missing: ('deleted' | 'updated' | 'unchanged')[] = [];
      for (const one of batch) {
        if (one.kind === 'missing')
          missing.push(await markDeleted(sql, userId, externalId(one.uri), one.reason));
        if (one.kind === 'failed') await failPending(sql, accountId, one.uri, one.message);
      }
      await dropPending(
        sql,
        accountId,
        batch.filter(({ kind }) => kind !== 'failed').map(({ uri }) => uri),
      );
      return { applied, missing };
    });
    for (const one of done.applied) options.onApplied(one);
    for (const outcome of done.missing) options.onMissing(outcome);
    for (const one of batch) if (one.kind === 'failed') options.onFailed(one.uri, one.message);
  } catch (thrown) {
    if (!isRefusedRow(thrown)) throw thrown;
    const [only] = batch;
    if (batch.length === 1 && only) {
      const message = `not stored: ${toCalendlySyncError(thrown).message}`;
      await writeBatch(options, [{ kind: 'failed', uri: only.uri, message }]);
      return;
    }
    const half = Math.ceil(batch.length / 2);
    await writeBatch(options, batch.slice(0, half));
    await writeBatch(options, batch.slice(half));
  }
}
