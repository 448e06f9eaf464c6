/**
 * Asks Calendly for what a run has found: invitees, and meetings that were not listed. Many events at a time; the
 * client limits how many requests are really in progress. Writes nothing.
 */
import type { Json } from '../database/table.js';
import { findRemembered } from '../database/tables/calendly-events.js';
import { nextPending, type Pending } from '../database/tables/pending-events.js';
import { CalendlySyncError } from '../errors.js';
import { createLane, type Lane } from '../lane.js';
import { isNotFoundFinal } from '../resources/meetings/consistency.js';
import type { Observation } from '../resources/meetings/diff.js';
import { fingerprint } from '../resources/meetings/fingerprint.js';
import { ownership } from '../resources/meetings/owners.js';
import { externalId } from '../resources/meetings/rows.js';
import { later } from '../resources/meetings/standing.js';
import { createFailureCheck, isEventSpecific } from './failures.js';
import { invalidValue } from './report.js';
import type { Item, Run } from './run.js';

const CHUNK = 200;
/** More than the client's own limit, so that writing one result delays no request. */
const MIN_WORKERS = 24;

/** Events with more than a page of invitees that are in memory at once, beyond their first pages. */
const MAX_LARGE = 2;

/** Reads events many at a time and yields what came of each, in the order in which they finish. */
export async function* readAll(run: Run, wanted: AsyncIterable<Wanted>): AsyncGenerator<Item> {
  const events = wanted[Symbol.asyncIterator]();
  const reading = new Map<Reading, Promise<{ ended: Reading; read: Read }>>();
  const workers = Math.max(MIN_WORKERS, run.concurrency ?? 0);
  const check = createFailureCheck(() => performance.now());
  const large = createLane(MAX_LARGE);
  const gone: Item[] = [];
  let isListingIncomplete = false;
  try {
    for (let open = true; ; ) {
      while (open && reading.size < workers) {
        const { value, done } = await events.next();
        if (done) open = false;
        else {
          const started = startReading(run, value, large);
          reading.set(
            started,
            started.read.then((read) => ({ ended: started, read })),
          );
        }
      }
      if (reading.size === 0) break;
      const { ended, read } = await Promise.race(reading.values());
      // The run ends with the reason of its end, not with what that did to a request.
      run.signal.throwIfAborted();
      const error = 'error' in read ? read.error : null;
      if (!('error' in read)) {
        check.succeeded();
        isListingIncomplete ||= read.present === true;
        if (ended.wanted.kind === 'unlisted' && read.missing === 'gone') gone.push(read);
        else yield read;
      } else if (isEventSpecific(error)) {
        yield { uri: ended.wanted.uri, failure: error.message };
        const reason = check.failed(error, ended.wanted, ended.startedAt);
        if (reason) throw reason;
      } else throw error;
      reading.delete(ended);
      ended.release();
    }
    // A listing that lacked a meeting which is there is no proof against the others: the next run asks again.
    for (const item of gone) yield isListingIncomplete ? { uri: item.uri } : item;
  } finally {
    for (const { release } of reading.keys()) release();
  }
}

interface Reading {
  wanted: Wanted;
  startedAt: number;
  read: Promise<Read>;
  /** What was read need not stay in memory. */
  release(): void;
}

function startReading(run: Run, wanted: Wanted, large: Lane): Reading {
  let released = false;
  let leave = () => {};
  const beforeMore = () =>
    new Promise<void>((resolve) => {
      void large(() => {
        resolve();
        return new Promise<void>((done) => {
          leave = done;
          if (released) done();
        });
      });
    });
  const release = () => {
    released = true;
    leave();
  };
  return { wanted, startedAt: performance.now(), read: readOne(run, wanted, beforeMore), release };
}

/** An event to ask for, and the database's time before it was handed out. */
export interface Wanted extends Pending {
  readonly askedAt: () => string;
  /** Runs in a row in which it has failed. */
  readonly failures?: number;
}

/** All pending events of a run, the most urgent first. */
export async function* pendingEvents(run: Run, accountId: string): AsyncGenerator<Wanted> {
  for (let after = { urgency: -1, uri: '' }; ; ) {
    const cursor = after;
    const { rows, now } = await run.read((sql) => nextPending(sql, accountId, cursor, CHUNK));
    const fetched = performance.now();
    const askedAt = () => later(now, performance.now() - fetched);
    for (const pending of rows) yield { ...pending, askedAt };
    const last = rows.at(-1);
    if (!last) return;
    after = last;
  }
}

type Read = Item | { error: unknown };
/** Awaited before an event's second page of invitees. */
type BeforeMore = () => Promise<void>;

async function readOne(run: Run, wanted: Wanted, beforeMore: BeforeMore): Promise<Read> {
  try {
    return wanted.kind === 'unlisted'
      ? await confirmUnlisted(run, wanted, beforeMore)
      : await readInvitees(run, wanted, null, beforeMore);
  } catch (error) {
    return { error };
  }
}

/**
 * Requests a stored meeting that was not listed: only Calendly's own 404 or 403 for it deletes it. One that is there
 * and has not changed needs nothing.
 */
async function confirmUnlisted(run: Run, wanted: Wanted, beforeMore: BeforeMore): Promise<Item> {
  const item = await readEvent(run, wanted, { beforeMore });
  return item.observation && ownership(item.observation.event ?? {}, run.account.calendlyUri) !== 'reassigned'
    ? { ...item, present: true }
    : item;
}

/** Requests one meeting, and its invitees if they may have changed. */
export async function readEvent(
  run: Run,
  wanted: Wanted,
  { always = false, beforeMore }: { always?: boolean; beforeMore?: BeforeMore } = {},
): Promise<Item> {
  const { uri, askedAt } = wanted;
  const requestedAt = askedAt();
  const answer = await run.client.event(uri);
  const { userId } = run;
  const known =
    userId === null ? null : await run.read((sql) => findRemembered(sql, userId, externalId(uri)));
  if ('accessLost' in answer) return { uri, missing: 'access_lost' };
  if ('gone' in answer)
    return known && !isNotFoundFinal(requestedAt, known) ? { uri } : { uri, missing: 'gone' };
  const { raw: event, value } = answer.found;
  const hostUri = run.account.calendlyUri;
  const times = { event: requestedAt, invitees: requestedAt };
  const observed = { uri: value.uri, event, source: 'request', requestedAt: times, hostUri } as const;
  const isRead = known?.fingerprint === fingerprint(value) && !always;
  if (isRead || ownership(event, hostUri) === 'reassigned')
    return { uri, observation: { ...observed, invitees: null } };
  return readInvitees(run, wanted, observed, beforeMore);
}

/** Requests the invitees of an event. Without the event itself they belong to the event as it is stored. */
async function readInvitees(
  run: Run,
  { uri, askedAt }: Wanted,
  observed: Omit<Observation, 'invitees'> | null,
  beforeMore?: BeforeMore,
): Promise<Item> {
  const invitedAt = askedAt();
  const complete = (invitees: Json[]): Item => {
    const requestedAt = { event: observed?.requestedAt?.event ?? invitedAt, invitees: invitedAt };
    const base = observed ?? { uri, event: null, source: 'request' as const };
    return { uri, observation: { ...base, requestedAt, invitees } };
  };
  const counter = observed?.event?.invitees_counter as { total?: unknown } | undefined;
  if (counter?.total === 0) return complete([]);
  try {
    const { invitees, unreadable } = await run.client.invitees(uri, beforeMore);
    run.report.counts.invitees.events_read++;
    for (const { issues, uri: invitee } of invitees) {
      for (const text of issues) run.report.warn(invalidValue(invitee, text));
    }
    if (unreadable > 0) {
      const message = `${unreadable} of the invitees of ${uri} have no URI.`;
      throw new CalendlySyncError('calendly_invalid_response', message);
    }
    return complete(invitees.map(({ raw }) => raw));
  } catch (error) {
    if (!(error instanceof CalendlySyncError) || error.code !== 'calendly_not_found') throw error;
    return confirmDeletedSinceListed(run, uri, invitedAt, error);
  }
}

/**
 * The invitees of a listed event returned 404: the event may have been deleted since. It is deleted if the
 * event itself returns 404 and a new listing of its start time lacks it. Any contradiction leaves the event
 * to the next run, and this run incomplete. If it is not stored, there is nothing to delete, and nothing to ask for.
 */
async function confirmDeletedSinceListed(
  run: Run,
  uri: string,
  requestedAt: string,
  cause: CalendlySyncError,
): Promise<Item> {
  const { client, account, userId } = run;
  const known =
    userId === null ? null : await run.read((sql) => findRemembered(sql, userId, externalId(uri)));
  const answer = await client.event(uri);
  if ('gone' in answer && known === null) return { uri };
  if (!('gone' in answer) || !known?.startTime) throw cause;
  const at = Date.parse(known.startTime);
  for await (const page of client.listEvents(account.calendlyUri, { from: at - 1_000, to: at + 1_000 })) {
    if (page.rows.some(({ value }) => value.uri === uri)) throw cause;
  }
  return isNotFoundFinal(requestedAt, known) ? { uri, missing: 'gone' } : { uri };
}
