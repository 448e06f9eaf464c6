/**
 * Writes the results of a run in batches, each in one fenced transaction that also updates what is pending. If a batch
 * fails for any reason but the connection, it is halved until the row at fault is alone and is reported; all others
 * are stored. In a dry run it computes the same without writing.
 */
import type { Sql } from '../database/connection.js';
import { isTransient, sqlState, violatedTable } from '../database/errors.js';
import { adoptMeetings } from '../database/tables/adopt-meetings.js';
import { lockEvents, rememberPresent } from '../database/tables/calendly-events.js';
import { findMeetings, type MarkedDeleted, markDeleted } from '../database/tables/meetings.js';
import {
  addPending,
  dropPending,
  failPending,
  findFailing,
  MAX_FAILURES,
} from '../database/tables/pending-events.js';
import { preferIndexes } from '../database/transaction.js';
import { toCalendlySyncError } from '../errors.js';
import { applyObservations, previewObservations } from '../resources/meetings/apply.js';
import type { Applied } from '../resources/meetings/changes.js';
import { externalId } from '../resources/meetings/rows.js';
import type { FailedEvent } from './failures.js';
import type { Item, Run } from './run.js';

export interface Writer {
  /** Writes these items now. */
  write(items: Item[]): Promise<void>;
  /** Adds an item to the next batch; resolves when there is room for another one. */
  add(item: Item): Promise<void>;
  /** Writes what is left, and once more what was locked by somebody else. */
  flush(): Promise<void>;
  /** The events that could not be read or stored and are not set aside. */
  readonly failed: FailedEvent[];
}

const LOCK_NOT_AVAILABLE = '55P03';
const BATCH = 100;
/** A batch is written earlier when its JSON has so many characters: memory follows bytes, not rows. */
const MAX_BATCH_SIZE = 1_000_000;
/** A batch that does not fill up is written after so many ms, so that a crash loses little of what was read. */
const FLUSH_AFTER_MS = 1_000;
/** How long the halves of a batch that met a locked row wait for it. */
const SHORT_LOCK_TIMEOUT_MS = 250;
/** How often a batch is looked at again because its meetings stand in `meetings` already. */
const MAX_LOOKS = 3;
/** If a run stores nothing and so many rows are refused for the first time, the cause is not in the rows. */
const MIN_REFUSED = 25;
/** A run that has stored nothing ends after so many refused rows. */
const MAX_REFUSED = 300;

/** Creates the writer of a run. After a failed write it writes nothing more; the run is aborted with the error. */
export function createWriter(run: Run): Writer {
  const failed: FailedEvent[] = [];
  const lockedItems: Item[] = [];
  let buffer: Item[] = [];
  let size = 0;
  /** Refused rows that are not recorded yet, by URI, and the error of the last one. */
  const refused = new Map<string, Item>();
  let refusal: unknown = null;
  let hasStored = false;
  let writing: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | null = null;
  let timer: NodeJS.Timeout | null = null;

  const enqueue = (batch: Item[], last = false) => {
    writing = writing.then(async () => {
      if (batch.length === 0 || failure) return;
      try {
        await writeHalving(batch, { last, looks: MAX_LOOKS });
        if (hasStored || refused.size >= MAX_REFUSED) await recordRefused();
      } catch (error) {
        failure = { error };
        run.abort(error);
      }
    });
    return writing;
  };
  const takeBuffer = () => {
    if (timer) clearTimeout(timer);
    [timer, size] = [null, 0];
    const batch = buffer;
    buffer = [];
    return batch;
  };
  const throwFailure = () => {
    if (failure) throw failure.error;
  };

  async function writeHalving(
    batch: Item[],
    { last, looks, lockTimeoutMs }: { last: boolean; looks: number; lockTimeoutMs?: number },
  ): Promise<void> {
    try {
      await writeBatch(run, batch, failed, lockTimeoutMs);
      hasStored ||= batch.some(({ failure: text }) => text === undefined);
    } catch (error) {
      const isLocked = sqlState(error) === LOCK_NOT_AVAILABLE;
      if (concernsAll(error) || (run.signal.aborted && isLocked)) throw error;
      // A unique key of `meetings`: a receiver or the application has inserted the same meeting in the meantime.
      if (looks > 0 && run.userId !== null && violatedTable(error) === 'meetings') {
        await adoptMeetings(run.database, { userId: run.userId });
        return writeHalving(batch, { last, looks: looks - 1 });
      }
      const [only] = batch;
      if (batch.length === 1 && only) {
        if (isLocked && !last) {
          lockedItems.push(only);
          return;
        }
        if (only.failure !== undefined) throw error;
        refusal = error;
        const text = `not stored: ${toCalendlySyncError(error).message}`;
        refused.set(only.uri, { uri: only.uri, failure: text });
        return;
      }
      const half = Math.ceil(batch.length / 2);
      const rest = { last, looks, ...(isLocked ? { lockTimeoutMs: SHORT_LOCK_TIMEOUT_MS } : {}) };
      await writeHalving(batch.slice(0, half), rest);
      await writeHalving(batch.slice(half), rest);
    }
  }

  /** Records the refused rows as failed; throws instead if the database refuses everything. */
  async function recordRefused(): Promise<void> {
    const batch = [...refused.values()];
    refused.clear();
    const { id } = run.account;
    if (!hasStored && id !== null && batch.length >= MIN_REFUSED) {
      const uris = batch.map(({ uri }) => uri);
      const failing = await run.read((sql) => findFailing(sql, id, uris));
      if (batch.length - failing.size >= MIN_REFUSED) throw refusal;
    }
    if (batch.length > 0) await writeHalving(batch, { last: true, looks: 0 });
  }

  return {
    failed,
    async write(items) {
      throwFailure();
      for (let start = 0; start < items.length; start += BATCH)
        await enqueue(items.slice(start, start + BATCH));
      throwFailure();
    },
    async add(item) {
      throwFailure();
      buffer.push(item);
      size += sizeOf(item.observation?.invitees);
      // Before a pause of the rate limiter there may be a minute to wait for the next item.
      if (buffer.length >= BATCH || size >= MAX_BATCH_SIZE || run.client.waitingUntil() !== null)
        await enqueue(takeBuffer());
      else timer ??= setTimeout(() => enqueue(takeBuffer()), FLUSH_AFTER_MS);
    },
    async flush() {
      await enqueue(takeBuffer());
      await enqueue(lockedItems.splice(0), true);
      throwFailure();
      await recordRefused();
    },
  };
}

/** True for an error that every other batch would meet too. */
function concernsAll(error: unknown): boolean {
  const { code, message } = toCalendlySyncError(error);
  const state = sqlState(error);
  // A lock or a timeout: a smaller batch may pass.
  if (state === LOCK_NOT_AVAILABLE || state === '57014') return false;
  return (
    isTransient(error) ||
    ['locked', 'database_unreachable', 'database_refused'].includes(code) ||
    state === '53100' ||
    (state === '42501' && message.includes('permission denied'))
  );
}

/** About as many characters as a value has as JSON. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.values(value).reduce<number>((sum, one) => sum + 8 + sizeOf(one), 8);
}

async function writeBatch(
  run: Run,
  batch: Item[],
  failed: FailedEvent[],
  lockTimeoutMs?: number,
): Promise<void> {
  const { lease, report, userId } = run;
  const written = lease
    ? await lease.transaction((sql) => store(sql, run, lease, batch), lockTimeoutMs)
    : await run.read((sql) => preview(sql, userId, batch));
  const listed = new Map(
    batch.flatMap(({ observation: seen }) =>
      seen?.source === 'listing' ? [[seen.uri, seen.event?.updated_at] as const] : [],
    ),
  );
  for (const applied of written.applied) {
    const isListed = listed.has(applied.uri) || run.plan.reason === 'one_meeting';
    report.applied(applied, isListed, listed.get(applied.uri));
  }
  for (const { uri, failure } of batch) {
    if (failure === undefined) continue;
    report.warn(`${uri}: ${failure}`);
    if ((written.failures.get(uri) ?? 1) < MAX_FAILURES) failed.push({ uri, message: failure });
  }
}

interface Written {
  applied: Applied[];
  /** Failures in a row, by URI. */
  failures: ReadonlyMap<string, number>;
}

async function store(
  sql: Sql,
  { userId, account: { id } }: Run,
  { number: runId }: { number: string },
  batch: Item[],
): Promise<Written> {
  if (userId === null || id === null) throw new Error('a run with a lease has an account');
  const observations = batch.flatMap(({ observation }) => observation ?? []);
  const missing = batch.flatMap(({ uri, missing: reason }) =>
    reason ? { externalId: externalId(uri), reason } : [],
  );
  const touched = batch.filter((item) => item.observation || item.missing).map(({ uri }) => externalId(uri));
  const [, locked] =
    touched.length > 0
      ? await Promise.all([preferIndexes(sql), lockEvents(sql, userId, touched)])
      : [null, []];
  const applied = await applyObservations(sql, userId, observations, locked);
  const marked = await markDeleted(sql, userId, missing);
  const present = batch.filter((item) => item.present && !item.next).map(({ uri }) => externalId(uri));
  const failures = batch.flatMap(({ uri, failure }) =>
    failure === undefined ? [] : { uri, message: failure },
  );
  const next = batch.flatMap((item) => item.next ?? []);
  const done = batch.filter((item) => !item.next && item.failure === undefined).map(({ uri }) => uri);
  const [failed] = await Promise.all([
    failPending(sql, id, runId, failures),
    rememberPresent(sql, userId, present),
    addPending(sql, id, runId, next),
    dropPending(sql, id, done),
  ]);
  return { applied: [...applied, ...marked.map((row) => deletedAs(batch, userId, row))], failures: failed };
}

async function preview(sql: Sql, userId: string | null, batch: Item[]): Promise<Written> {
  const observations = batch.flatMap(({ observation }) => observation ?? []);
  const applied = await previewObservations(sql, userId, observations);
  const missing = batch.filter((item) => item.missing);
  const stored =
    userId === null || missing.length === 0
      ? new Map()
      : await findMeetings(
          sql,
          userId,
          missing.map(({ uri }) => externalId(uri)),
        );
  for (const { uri, missing: reason } of missing) {
    const known = stored.get(externalId(uri));
    if (!known || (known.is_deleted && known.deleted_reason === reason)) continue;
    applied.push(deletedAs(batch, userId ?? '', { ...known, was_deleted: known.is_deleted }));
  }
  return { applied, failures: new Map() };
}

function deletedAs(batch: Item[], userId: string, row: MarkedDeleted): Applied {
  const { id, external_id, was_deleted, title, start_time, status, deleted_reason } = row;
  const item = batch.find(({ uri, missing }) => missing && externalId(uri) === external_id);
  const facts = { title, start_time, status };
  return {
    uri: item?.uri ?? '',
    userId,
    meetingId: id,
    outcome: was_deleted ? 'updated' : 'deleted',
    before: { ...facts, is_deleted: was_deleted, deleted_reason },
    after: { ...facts, is_deleted: true, deleted_reason: item?.missing ?? null },
    warning: null,
    invitees: { new: 0, updated: 0, removed: 0 },
  };
}
