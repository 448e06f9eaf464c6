/**
 * Works off what is pending: reads invitees, confirms what is missing, and hands each result to the writer. Many events at a time;
 * the client's gate decides how many requests are really under way.
 */
import PQueue from 'p-queue';
import type { CalendlyClient } from '../calendly/client.js';
import { parseEvent } from '../calendly/schemas.js';
import type { Database } from '../database/connection.js';
import { persistentTransaction } from '../database/retry.js';
import type { Json } from '../database/table.js';
import { findStart } from '../database/tables/meetings.js';
import { nextPending, type Pending } from '../database/tables/pending-events.js';
import { CalendlySyncError } from '../errors.js';
import type { Observation } from '../resources/meetings/diff.js';
import { hasInvitees } from '../resources/meetings/fingerprint.js';
import { externalId } from '../resources/meetings/rows.js';
import type { Result, Writer } from './batch-writer.js';

export interface DrainOptions {
  database: Database;
  client: CalendlyClient;
  accountId: string;
  userId: string;
  /** URI of the Calendly user whose listing the events are on. */
  calendlyUri: string;
  writer: Writer;
  /** Aborted by the caller or by `halt`; the client's requests end with it. */
  signal: AbortSignal;
  /** Ends all requests of the run. */
  halt(reason: unknown): void;
  /** Called when an event is done, well or not. */
  onSettled(): void;
  /** Called when the invitees of an event were read. */
  onRead(): void;
  onOddity(uri: string, text: string): void;
}

const CHUNK = 200;
const WORKERS = 32;
/** Events that fail one after the other because Calendly does not answer; then the rest would fail too. */
const MOST_UNANSWERED = 4;

/**
 * Works off all pending events of an account. Failures of single events go to the writer; what would fail for all is thrown,
 * after what was read so far has been written.
 */
export async function drainPending(options: DrainOptions): Promise<void> {
  const { database, accountId, writer, signal } = options;
  const queue = new PQueue({ concurrency: WORKERS });
  let unanswered = 0;
  let fatal: { thrown: unknown } | null = null;
  const giveUp = (thrown: unknown) => {
    fatal ??= { thrown };
    options.halt(thrown);
  };

  const work = async (pending: Pending, now: string) => {
    if (signal.aborted) return;
    try {
      const result = await settle(options, pending, now);
      unanswered = 0;
      await writer.add(result);
    } catch (thrown) {
      if (signal.aborted) return;
      const failure = isOneEvents(thrown);
      if (failure === null) return giveUp(thrown);
      await writer.add({ kind: 'failed', uri: pending.uri, message: failure.message });
      if (failure.code === 'calendly_unreachable' && ++unanswered >= MOST_UNANSWERED) giveUp(thrown);
    }
  };

  let after = '';
  while (!signal.aborted) {
    const { rows, now } = await persistentTransaction(
      database,
      (sql) => nextPending(sql, accountId, after, CHUNK),
      signal,
    );
    const last = rows.at(-1);
    if (!last) break;
    after = last.uri;
    for (const pending of rows) {
      await queue.onSizeLessThan(1);
      if (signal.aborted) break;
      void queue.add(() => work(pending, now).catch(giveUp).finally(options.onSettled));
    }
  }
  await queue.onIdle();
  await writer.flush();
  const failed = fatal as { thrown: unknown } | null;
  if (failed) throw failed.thrown;
  signal.throwIfAborted();
}

/** A failure that is one event's own; null for what would meet all of them. */
function isOneEvents(thrown: unknown): CalendlySyncError | null {
  if (!(thrown instanceof CalendlySyncError)) return null;
  const all = thrown.code === 'calendly_unauthorized' || !thrown.code.startsWith('calendly_');
  return all ? null : thrown;
}

async function settle(options: DrainOptions, pending: Pending, now: string): Promise<Result> {
  const { uri, kind, event } = pending;
  if (kind === 'unlisted') return confirmMissing(options, uri, now);
  if (kind === 'edited' && event) {
    return observed({ uri, event, invitees: null, requestedAt: { event: pending.seenAt, invitees: now } });
  }
  return readInvitees(options, { uri, event, eventSeenAt: pending.seenAt }, now);
}

/** A stored meeting that the listing lacked: only Calendly's own word on it counts. */
async function confirmMissing(options: DrainOptions, uri: string, now: string): Promise<Result> {
  const answer = await options.client.event(uri);
  if ('gone' in answer) return { kind: 'missing', uri, reason: 'gone' };
  if ('accessLost' in answer) return { kind: 'missing', uri, reason: 'access_lost' };
  return readInvitees(options, { uri, event: answer.found.raw, eventSeenAt: now }, now);
}

async function readInvitees(
  options: DrainOptions,
  { uri, event, eventSeenAt }: { uri: string; event: Json | null; eventSeenAt: string },
  now: string,
): Promise<Result> {
  const value = event ? (parseEvent(event)?.value ?? null) : null;
  const base = { uri, event, requestedAt: { event: eventSeenAt, invitees: now } };
  if (value && !hasInvitees(value)) return observed({ ...base, invitees: [] });
  try {
    const { invitees, unreadable } = await options.client.invitees(uri);
    options.onRead();
    for (const { issues, value: invitee } of invitees) {
      for (const text of issues) options.onOddity(invitee.uri, text);
    }
    if (unreadable > 0) {
      throw new CalendlySyncError(
        'calendly_invalid_response',
        `${unreadable} of the invitees of ${uri} have no URI.`,
      );
    }
    return observed({ ...base, invitees: invitees.map(({ raw }) => raw) });
  } catch (thrown) {
    if (!(thrown instanceof CalendlySyncError) || thrown.code !== 'calendly_not_found') throw thrown;
    return afterVanishing(options, uri, value?.start_time ?? (await storedStart(options, uri)), thrown);
  }
}

/**
 * The invitees of a listed event answer 404: it may have been deleted in the meantime. Believed when the event itself answers 404
 * and a new listing of its moment lacks it; any contradiction leaves the event to the next run, and this one incomplete.
 */
async function afterVanishing(
  options: DrainOptions,
  uri: string,
  start: string | null,
  cause: CalendlySyncError,
): Promise<Result> {
  const { client, calendlyUri } = options;
  const answer = await client.event(uri);
  if (!('gone' in answer) || start === null) throw cause;
  const at = Date.parse(start);
  for await (const page of client.listEvents(calendlyUri, { from: at - 1_000, to: at + 1_000 })) {
    if (page.events.some(({ value }) => value.uri === uri)) throw cause;
  }
  return { kind: 'missing', uri, reason: 'gone' };
}

function observed(observation: Observation): Result {
  return { kind: 'observed', uri: observation.uri, observation };
}

function storedStart({ database, userId }: DrainOptions, uri: string): Promise<string | null> {
  return database.transaction((sql) => findStart(sql, userId, externalId(uri)), { readOnly: true });
}
