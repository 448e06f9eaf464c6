/**
 * The work of one transaction on deliveries: ledger rows, meetings and invitees, all or nothing. Deliveries that the
 * ledger already holds are skipped. Knows no HTTP.
 */
import type { Database, Sql, TransactionOptions } from '../../database/connection.js';
import { isJson } from '../../database/table.js';
import { findUsersByUris } from '../../database/tables/accounts.js';
import { findOwners, lockEventsOfHosts } from '../../database/tables/calendly-events.js';
import { findErased } from '../../database/tables/erasures.js';
import { insertBookings } from '../../database/tables/new-bookings.js';
import {
  insertEvents,
  type LedgerEntry,
  replacePayloads,
  type Settlement,
  settleEvents,
} from '../../database/tables/webhook-events.js';
import { stringifyExact } from '../../exact-json.js';
import { readObserved, toApplied, withErased, writeDeliveries } from '../../resources/meetings/apply.js';
import type { Applied } from '../../resources/meetings/changes.js';
import { addressesIn, type Erased, forgetInDelivery, forgetInText } from '../../resources/meetings/forget.js';
import { externalId } from '../../resources/meetings/rows.js';
import type { Delivery, MeetingChange } from './delivery.js';
import type { BookingDelivery } from './new-booking.js';

/**
 * `applied`: the meeting is up to date · `ignored`: an event type that changes no meeting · `unmatched`: its host is
 * not connected here · `waiting`: stored, and applied when the lock that it needs is gone · `failed`: stored with an
 * error · `duplicate`: the ledger already holds it.
 */
export type DeliveryStatus = 'applied' | 'ignored' | 'unmatched' | 'waiting' | 'failed' | 'duplicate';

/** What was done with one delivery. */
export interface DeliveryResult {
  status: DeliveryStatus;
  delivery: Delivery;
  /** The user who is recorded with it. */
  userId: string | null;
  /** The effect for each user who hosts the meeting. */
  applied: Applied[];
  /** Why it could not be applied. */
  error: string | null;
}

/**
 * Stores and applies those bookings whose meetings are not stored yet, in one statement. Returns the results in the
 * order given; null for what must take the general path.
 */
export async function recordBookings(
  database: Database,
  bookings: BookingDelivery[],
  options: TransactionOptions,
): Promise<(DeliveryResult | null)[]> {
  const perMeeting = new Map(bookings.map((one) => [one.booking.row.calendly_uri, one]));
  const rows = [...perMeeting.values()].map(({ booking }) => booking);
  const stored = await database.query((sql) => insertBookings(sql, rows), options);
  const byId = new Map(stored.map((one) => [one.event_id, one]));
  return bookings.map(({ delivery, diff, booking }) => {
    const one = byId.get(delivery.eventId);
    if (one?.duplicate) return resultOf(delivery, 'duplicate');
    if (!one?.meeting_id) return null;
    const applied = toApplied(booking.row.calendly_uri, one.user_id, one.meeting_id, diff);
    return { ...resultOf(delivery, 'applied'), userId: one.user_id, applied: [applied] };
  });
}

/**
 * Stores and applies deliveries, copies of one change once. Returns the results in the order given.
 * @param discardUnmatched stores deliveries of hosts who are not connected without their body
 */
export async function recordAndApply(
  sql: Sql,
  deliveries: Delivery[],
  discardUnmatched: boolean,
): Promise<DeliveryResult[]> {
  const unique = new Map<string, Delivery>();
  for (const delivery of deliveries) {
    if (!unique.has(delivery.eventId)) unique.set(delivery.eventId, delivery);
  }
  const distinct = [...unique.values()];
  const [, added, known] = await Promise.all([
    sql.begun,
    insertEvents(sql, distinct.map(ledgerEntry), discardUnmatched),
    lookUp(sql, distinct),
  ]);
  if (known.erased.size > 0)
    await replacePayloads(
      sql,
      distinct.map((delivery) => withoutErased(delivery, known.erased)),
    );
  const fresh = distinct.filter(({ eventId }) => added.has(eventId));
  const { results, write } = await plan(sql, fresh, known);
  // The ledger rows of all others were inserted with their final state.
  const open = results.filter(({ delivery }) => delivery.change?.hosts.length === 0);
  await sql.commitWith(allOf([write(), settleEvents(sql, open.map(settlementOf))]));
  const byDelivery = new Map(results.map((result) => [result.delivery, result]));
  return deliveries.map((delivery) => byDelivery.get(delivery) ?? resultOf(delivery, 'duplicate'));
}

/** Applies stored deliveries again and records the results. */
export async function reapply(sql: Sql, deliveries: Delivery[]): Promise<DeliveryResult[]> {
  const { results, write } = await plan(sql, deliveries, await lookUp(sql, deliveries));
  await allOf([write(), settleEvents(sql, results.map(settlementOf))]);
  return results;
}

/**
 * Stores deliveries that cannot be applied now, with the reason. In a transaction of its own.
 * @param asText stores the body as one JSON string, for a body that Postgres refuses as JSON
 */
export async function recordPending(
  sql: Sql,
  deliveries: Delivery[],
  { error = null, waitsFor = null }: { error?: string | null; waitsFor?: string | null },
  asText = false,
): Promise<DeliveryResult[]> {
  const [, erased] = await Promise.all([sql.begun, findErased(sql, addressesOf(deliveries))]);
  const entries = deliveries.map((delivery) => {
    const kept = withoutErased(delivery, erased);
    const entry = { ...ledgerEntry(kept), done: false, error, waitsFor };
    return asText ? { ...entry, body: kept.text } : entry;
  });
  const added = await insertEvents(sql, entries);
  return deliveries.map((delivery) => {
    if (!added.has(delivery.eventId)) return resultOf(delivery, 'duplicate');
    return resultOf(delivery, error === null ? 'waiting' : 'failed', error);
  });
}

function addressesOf(deliveries: Delivery[]): string[] {
  const found = new Set<string>();
  for (const { body, text } of deliveries) addressesIn(isJson(body) ? body : text, found);
  return [...found];
}

/** A delivery as it is stored: without people who were erased. */
function withoutErased(delivery: Delivery, erased: Erased): Delivery {
  const { body, text } = delivery;
  if (erased.size === 0) return delivery;
  if (!isJson(body))
    return { ...delivery, body: forgetInText(body, erased), text: forgetInText(text, erased) };
  const kept = forgetInDelivery(body, erased);
  return { ...delivery, body: kept, text: stringifyExact(kept) };
}

/** What the database knows of the hosts and meetings of deliveries. */
interface Known {
  /** Users by their Calendly URI. */
  users: ReadonlyMap<string, string>;
  /** External ids of stored meetings, by user; their rows are locked now. */
  locked: ReadonlyMap<string, string[]>;
  /** People in them who were erased. */
  erased: Erased;
}

async function lookUp(sql: Sql, deliveries: Delivery[]): Promise<Known> {
  const wanted = deliveries.flatMap(({ change }) =>
    change ? change.hosts.map((host) => ({ host, externalId: externalId(change.observation.uri) })) : [],
  );
  const hosts = [...new Set(wanted.map(({ host }) => host))];
  const [users, locked, erased] = await Promise.all([
    findUsersByUris(sql, hosts),
    lockEventsOfHosts(sql, wanted),
    findErased(sql, addressesOf(deliveries)),
  ]);
  return { users, locked, erased };
}

function ledgerEntry(delivery: Delivery): LedgerEntry {
  const { eventId, eventType, body, inviteeUri, occurredAt, change, problem } = delivery;
  const done = change === null && problem === null;
  const hosts = change?.hosts ?? [];
  return { eventId, eventType, body, inviteeUri, occurredAt, hosts, done, error: problem, waitsFor: null };
}

/** What to write, and the results once it is written. */
interface Plan {
  results: DeliveryResult[];
  /** Sends all at once: the statements of one user do not depend on those of another. */
  write(): Promise<unknown>;
}

/** A change to apply, and the result that reports its effect. */
interface Item {
  change: MeetingChange;
  result: DeliveryResult;
}

/** Finds whose the deliveries are, and reads what is stored of their meetings. */
async function plan(sql: Sql, deliveries: Delivery[], known: Known): Promise<Plan> {
  const { users, locked, erased } = known;
  const hostless = deliveries.flatMap(({ change }) =>
    change?.hosts.length === 0 ? externalId(change.observation.uri) : [],
  );
  const owners = hostless.length > 0 ? await findOwners(sql, hostless) : new Map<string, string[]>();
  const perUser = new Map<string, Item[]>();
  const results = deliveries.map((delivery) => {
    const { change, problem } = delivery;
    if (change === null) return resultOf(delivery, problem === null ? 'ignored' : 'failed', problem);
    const userIds = userIdsOf(change, users, owners);
    if (userIds.length === 0) return withoutUser(delivery, change);
    const result = { ...resultOf(delivery, 'applied'), userId: userIds[0] ?? null };
    for (const userId of userIds) perUser.set(userId, [...(perUser.get(userId) ?? []), { change, result }]);
    return result;
  });
  // In the order of ids, so that writers never deadlock.
  const sorted = [...perUser].sort(([one], [other]) => (one < other ? -1 : 1));
  const ofUsers = await allOf(
    sorted.map(async ([userId, items]) => {
      const observations = withErased(
        items.map(({ change }) => change.observation),
        erased,
      );
      // A meeting is locked through its host; those of deliveries that name no host are not among the locked ones.
      const lockedIds = items.every(({ change }) => change.hosts.length > 0)
        ? (locked.get(userId) ?? [])
        : undefined;
      const stored = await readObserved(sql, userId, observations, lockedIds);
      return async () => {
        const applied = await writeDeliveries(sql, userId, observations, stored);
        for (const [index, one] of applied.entries()) items[index]?.result.applied.push(one);
      };
    }),
  );
  return { results, write: () => allOf(ofUsers.map((write) => write())) };
}

/** Waits for all: a failure must not leave a statement of the transaction running. */
async function allOf<T>(work: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

function withoutUser(delivery: Delivery, { hosts, observation }: MeetingChange): DeliveryResult {
  if (hosts.length > 0) return resultOf(delivery, 'unmatched');
  const error = `the delivery does not name the host, and ${observation.uri} is not stored`;
  return resultOf(delivery, 'failed', error);
}

function userIdsOf(
  { hosts, observation }: MeetingChange,
  users: ReadonlyMap<string, string>,
  owners: ReadonlyMap<string, string[]>,
): string[] {
  const found =
    hosts.length > 0 ? hosts.map((uri) => users.get(uri)) : owners.get(externalId(observation.uri));
  return [...new Set((found ?? []).filter((id) => id !== undefined))];
}

/** The result of a delivery that nothing was applied of. */
export function resultOf(
  delivery: Delivery,
  status: DeliveryStatus,
  error: string | null = null,
): DeliveryResult {
  return { status, delivery, userId: null, applied: [], error };
}

function settlementOf({ delivery, status, error, userId }: DeliveryResult): Settlement {
  const hosts = status === 'unmatched' ? (delivery.change?.hosts ?? null) : null;
  return { eventId: delivery.eventId, userId, processed: error === null, error, waitsFor: null, hosts };
}
