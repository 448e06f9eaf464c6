/** Deletes old webhook events in small transactions, so that no receiver ever waits long. Shows nothing. */
import type { Database } from '../database/connection.js';
import { requireWebhookSchema } from '../database/schema.js';
import { countOldEvents, deleteOldEvents, instantAgo } from '../database/tables/webhook-events.js';
import { CalendlySyncError } from '../errors.js';

export interface CleanOptions {
  database: Database;
  /** Events are old when they were received longer ago than this, in ms. */
  olderThanMs: number;
  /** Also those that were never processed. */
  includeUnprocessed?: boolean;
  /** Counts and deletes nothing. */
  dryRun?: boolean;
  signal?: AbortSignal;
  /** Called after each batch with how many are deleted by now. */
  onProgress?: (deleted: number) => void;
  /** Rows of one transaction. */
  batchSize?: number;
}

export interface CleanResult {
  /** How many were deleted; with `dryRun`, how many would be. */
  deleted: number;
  /** Old ones that stay because they were never processed. */
  unprocessed_kept: number;
  /** The instant before which an event is old. */
  before: Date;
}

const BATCH_SIZE = 5_000;
/** No event is older, and Postgres has no date for everything that a duration can say. */
const LONGEST_S = 100 * 365 * 86_400;

/**
 * Cleans.
 * @throws CalendlySyncError `schema_not_ready` without migration 022; `stopped` when aborted, with what was done
 */
export async function cleanWebhookEvents(options: CleanOptions): Promise<CleanResult> {
  const {
    database,
    olderThanMs,
    includeUnprocessed = false,
    dryRun = false,
    batchSize = BATCH_SIZE,
  } = options;
  const { before, old } = await database.transaction(
    async (sql) => {
      await requireWebhookSchema(sql);
      const before = await instantAgo(sql, Math.min(olderThanMs / 1_000, LONGEST_S));
      return { before, old: await countOldEvents(sql, before) };
    },
    { readOnly: true },
  );
  const kept = includeUnprocessed ? 0 : old.unprocessed;
  if (dryRun) {
    const deleted = old.processed + (includeUnprocessed ? old.unprocessed : 0);
    return { deleted, unprocessed_kept: kept, before };
  }
  let deleted = 0;
  for (let last = batchSize; last === batchSize; ) {
    if (options.signal?.aborted) throw stopped(deleted);
    last = await database.transaction((sql) =>
      deleteOldEvents(sql, { before, includeUnprocessed }, batchSize),
    );
    deleted += last;
    options.onProgress?.(deleted);
  }
  return { deleted, unprocessed_kept: kept, before };
}

function stopped(deleted: number): CalendlySyncError {
  return new CalendlySyncError('stopped', `Stopped after ${deleted} webhook events were deleted.`, {
    hint: 'Run the same command again to go on.',
  });
}
