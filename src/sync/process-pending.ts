/**
 * Processes the pending events of an account: requests invitees, confirms deletions, and writes the results
 * in batches. Many events at a time; the client limits how many requests are really in progress.
 */
import type { CalendlyClient } from '../calendly/client.js';
import { concernsAccount } from '../calendly/errors.js';
import { parseEvent } from '../calendly/schemas.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import type { Json } from '../database/table.js';
import type { Account } from '../database/tables/accounts.js';
import { findStart } from '../database/tables/calendly-events.js';
import { nextPending, type Pending } from '../database/tables/pending-events.js';
import { CalendlySyncError } from '../errors.js';
import type { Observation } from '../resources/meetings/diff.js';
import { hasInvitees } from '../resources/meetings/fingerprint.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import { later } from '../resources/meetings/standing.js';
import { createBatchWriter, type Result, writeBatch } from './batch-writer.js';
import { type Counts, countApplied, invalidValue } from './report.js';

export interface ProcessOptions {
  database: Database;
  client: CalendlyClient;
  account: Account;
  counts: Counts;
  /** Max requests in progress, if it is set. */
  concurrency?: number | undefined;
  /** Aborted when the run must end; the client's requests end with it. */
  signal: AbortSignal;
  /** Aborts the run with this error. */
  abort(error: unknown): void;
  warn(text: string): void;
  /** Called after each event, whether it succeeded or not. */
  onProcessed(): void;
}

/** An observation before its invitees are read. */
type EventRead = Omit<Observation, 'invitees'>;

const CHUNK = 200;
/** More than the client's own limit, so that writing one result delays no request. */
const WORKERS = 32;
/** After so many events in a row without a response from Calendly, the others would fail too. */
const MAX_UNANSWERED = 4;
/** After so many events that fail for one reason, and none that succeeds, the others would fail too. */
const MAX_EQUAL_FAILURES = 10;

/** An event that could not be processed or stored. */
export interface FailedEvent {
  uri: string;
  message: string;
}

/**
 * Processes all pending events of an account.
 * @returns the events that could not be processed or stored
 * @throws what would fail for every event, after everything read until then is written
 */
export async function processPending(options: ProcessOptions): Promise<FailedEvent[]> {
  const { database, account, counts, signal, concurrency = WORKERS } = options;
  const failed: FailedEvent[] = [];
  const writer = createBatchWriter<Result>(async (batch) => {
    for await (const written of writeBatch(database, account, batch)) {
      for (const applied of written.applied) {
        countApplied(counts, applied);
        if (applied.warning) options.warn(`${applied.uri}: ${applied.warning}`);
      }
      for (const outcome of written.missing) counts[outcome]++;
      for (const { uri, message } of written.failed) {
        failed.push({ uri, message });
        options.warn(`${uri}: ${message}`);
      }
    }
  });
  let unanswered = 0;
  let lastSuccess = Number.NEGATIVE_INFINITY;
  const failures = new Map<string, number>();
  /** Throws if the other events would fail like this one. */
  const checkFailure = (error: CalendlySyncError, uri: string, started: number) => {
    // Retries make a failing event end long after others that began later and succeeded.
    if (error.code === 'calendly_unreachable' && started > lastSuccess && ++unanswered >= MAX_UNANSWERED)
      throw error;
    const reason = generalReason({ uri, message: error.message });
    const equal = (failures.get(reason) ?? 0) + 1;
    failures.set(reason, equal);
    if (lastSuccess < 0 && equal >= MAX_EQUAL_FAILURES) {
      const message = `All of the first ${equal} meetings failed for the same reason: ${reason}`;
      throw new CalendlySyncError(error.code, message, { hint: error.hint, cause: error });
    }
  };
  const events = pendingEvents(options);
  const work = async () => {
    for await (const { pending, now } of events) {
      if (signal.aborted) return;
      const started = performance.now();
      try {
        const result = await processOne(options, pending, now);
        if (wasAnswered(result)) {
          unanswered = 0;
          lastSuccess = performance.now();
        }
        await writer.add(result);
      } catch (error) {
        if (signal.aborted) return;
        if (!isEventSpecific(error)) throw error;
        await writer.add({ kind: 'failed', uri: pending.uri, message: error.message });
        checkFailure(error, pending.uri, started);
      } finally {
        options.onProcessed();
      }
    }
  };
  await Promise.all(
    Array.from({ length: Math.max(WORKERS, concurrency) }, () => work().catch(options.abort)),
  );
  await writer.flush();
  signal.throwIfAborted();
  return failed;
}

/** All pending events, each with the database time before it was handed out. */
async function* pendingEvents({ database, account, signal }: ProcessOptions) {
  for (let after: string | null = ''; after !== null && !signal.aborted; ) {
    const cursor: string = after;
    const { rows, now } = await persistentTransaction(
      database,
      (sql) => nextPending(sql, account.id, cursor, CHUNK),
      signal,
    );
    const chunkAt = performance.now();
    for (const pending of rows) yield { pending, now: later(now, performance.now() - chunkAt) };
    after = rows.at(-1)?.uri ?? null;
  }
}

/** True for a failure that concerns one event only; false for one that every event would meet. */
function isEventSpecific(error: unknown): error is CalendlySyncError {
  return error instanceof CalendlySyncError && error.code.startsWith('calendly_') && !concernsAccount(error);
}

/** True for a result that came from Calendly: an event without invitees needs no request. */
function wasAnswered(result: Result): boolean {
  if (result.kind !== 'observed') return result.kind === 'missing';
  return (result.observation.invitees?.length ?? 0) > 0;
}

/** The reason of a failure without the event's ID, so that equal reasons can be counted. */
export function generalReason({ uri, message }: FailedEvent): string {
  return message.replaceAll(externalId(uri), 'ID');
}

async function processOne(options: ProcessOptions, pending: Pending, now: string): Promise<Result> {
  const { uri, kind, event, seenAt } = pending;
  if (kind === 'unlisted') return confirmDeleted(options, uri, now);
  const hostUri = options.account.calendlyUri;
  const listed: EventRead = {
    uri,
    event,
    source: 'listing',
    requestedAt: { event: seenAt, invitees: now },
    hostUri,
  };
  if (kind === 'edited' && event) return observed(listed, null);
  return readInvitees(options, listed);
}

/** Requests a stored meeting that was not listed: only Calendly's own 404 or 403 for it deletes it. */
async function confirmDeleted(options: ProcessOptions, uri: string, now: string): Promise<Result> {
  const answer = await options.client.event(uri);
  if ('gone' in answer) return { kind: 'missing', uri, reason: 'gone' };
  if ('accessLost' in answer) return { kind: 'missing', uri, reason: 'access_lost' };
  const hostUri = options.account.calendlyUri;
  const { raw: event } = answer.found;
  const read: EventRead = {
    uri,
    event,
    source: 'request',
    requestedAt: { event: now, invitees: now },
    hostUri,
  };
  if (ownership(event, hostUri) === 'reassigned') return observed(read, null);
  return readInvitees(options, read);
}

async function readInvitees(options: ProcessOptions, read: EventRead): Promise<Result> {
  const { uri, event } = read;
  const value = event && (parseEvent(event)?.value ?? null);
  if (value && !hasInvitees(value)) return observed(read, []);
  try {
    const { invitees, unreadable } = await options.client.invitees(uri);
    options.counts.invitees.events_read++;
    for (const { issues, value: invitee } of invitees) {
      for (const text of issues) options.warn(invalidValue(invitee.uri, text));
    }
    if (unreadable > 0) {
      throw new CalendlySyncError(
        'calendly_invalid_response',
        `${unreadable} of the invitees of ${uri} have no URI.`,
      );
    }
    const raws = invitees.map(({ raw }) => raw);
    return observed(read, raws);
  } catch (error) {
    if (!(error instanceof CalendlySyncError) || error.code !== 'calendly_not_found') throw error;
    return confirmDeletedSinceListed(options, uri, value?.start_time ?? null, error);
  }
}

/**
 * The invitees of a listed event returned 404: the event may have been deleted since. It is deleted if the
 * event itself returns 404 and a new listing of its start time lacks it. Any contradiction leaves the event
 * to the next run, and this run incomplete.
 */
async function confirmDeletedSinceListed(
  { client, database, account }: ProcessOptions,
  uri: string,
  listedStart: string | null,
  cause: CalendlySyncError,
): Promise<Result> {
  const start =
    listedStart ??
    (await database.transaction((sql) => findStart(sql, account.userId, externalId(uri)), {
      readOnly: true,
    }));
  const answer = await client.event(uri);
  if (!('gone' in answer) || start === null) throw cause;
  const at = Date.parse(start);
  for await (const page of client.listEvents(account.calendlyUri, { from: at - 1_000, to: at + 1_000 })) {
    if (page.rows.some(({ value }) => value.uri === uri)) throw cause;
  }
  return { kind: 'missing', uri, reason: 'gone' };
}

function observed(read: EventRead, invitees: Json[] | null): Result {
  return { kind: 'observed', uri: read.uri, observation: { ...read, invitees } };
}
