/** Deletes old webhook events in small transactions, so that a receiver never waits long. Does not print. */
import type { Database } from '../database/connection.js';
import { requireWebhookSchema } from '../database/schema.js';
import { countOldEvents, deleteOldEvents, instantAgo } from '../database/tables/webhook-events.js';
import { CalendlySyncError } from '../errors.js';

export interface CleanOptions {
  database: Database;
  /** Deletes events that were received longer ago than this, in ms. */
  olderThanMs: number;
  /** Also deletes events that were never processed. */
  includeUnprocessed?: boolean;
  /** Counts and deletes nothing. */
  dryRun?: boolean;
  signal?: AbortSignal;
  /** Called after each transaction with the number of events deleted so far. */
  onProgress?: (deleted: number) => void;
  /** Max rows of one transaction. */
  batchSize?: number;
}

export interface CleanResult {
  /** How many were deleted; with `dryRun`, how many would be. */
  deleted: number;
  /** Old events that stay because they were never processed. */
  unprocessed_kept: number;
  /** Events received before this instant are old. */
  before: Date;
}

const BATCH_SIZE = 5_000;
/** No event is older, and Postgres has no date for longer durations. */
const MAX_AGE_S = 100 * 365 * 86_400;

/**
 * Deletes old events.
 * @throws CalendlySyncError `schema_not_ready` without migration 022; `stopped` when aborted, with the number deleted
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
      const before = await instantAgo(sql, Math.min(olderThanMs / 1_000, MAX_AGE_S));
      return { before, old: await countOldEvents(sql, before) };
    },
    { readOnly: true },
  );
  const result = { unprocessed_kept: includeUnprocessed ? 0 : old.unprocessed, before };
  if (dryRun) return { deleted: old.processed + (includeUnprocessed ? old.unprocessed : 0), ...result };
  let deleted = 0;
  for (let last = batchSize; last === batchSize; ) {
    if (options.signal?.aborted) throw stopped(deleted);
    const chosen = { before, includeUnprocessed };
    last = await database.transaction((sql) => deleteOldEvents(sql, chosen, batchSize));
    deleted += last;
    options.onProgress?.(deleted);
  }
  return { deleted, ...result };
}

function stopped(deleted: number): CalendlySyncError {
  const hint = 'Run the same command again to continue.';
  return new CalendlySyncError('stopped', `Stopped after ${deleted} webhook events were deleted.`, { hint });
}
