/**
 * The work of one transaction on deliveries: ledger rows, meetings and invitees, all or nothing. Deliveries that the
 * ledger already holds are skipped. Knows no HTTP.
 */
import type { Sql } from '../../database/connection.js';
import { isJson } from '../../database/table.js';
import { findUsersByUris } from '../../database/tables/accounts.js';
import { findOwners, lockEventsOfHosts } from '../../database/tables/calendly-events.js';
import { findErased } from '../../database/tables/erasures.js';
import {
  insertEvents,
  type LedgerEntry,
  replacePayloads,
  type Settlement,
  settleEvents,
} from '../../database/tables/webhook-events.js';
import { stringifyExact } from '../../exact-json.js';
import { applyObservations } from '../../resources/meetings/apply.js';
import type { Applied } from '../../resources/meetings/changes.js';
import { diffMeeting, type Observation } from '../../resources/meetings/diff.js';
import { addressesIn, type Erased, forgetInDelivery, forgetInText } from '../../resources/meetings/forget.js';
import { externalId } from '../../resources/meetings/rows.js';
import type { Delivery, MeetingChange } from './delivery.js';
import { limitWaits, type WaitLimits } from './wait-limits.js';

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
  /** The effect for each user who hosts the meeting. */
  applied: Applied[];
  /** Why it could not be applied. */
  error: string | null;
}

export interface RecordOptions extends WaitLimits {
  /** Stores deliveries of hosts who are not connected without their body. */
  discardUnmatched?: boolean;
}

/** Stores and applies deliveries, copies of one change once. Returns the results in the order given. */
export async function recordAndApply(
  sql: Sql,
  deliveries: Delivery[],
  options: RecordOptions,
): Promise<DeliveryResult[]> {
  const unique = new Map<string, Delivery>();
  for (const delivery of deliveries) {
    if (!unique.has(delivery.eventId)) unique.set(delivery.eventId, delivery);
  }
  const distinct = [...unique.values()];
  const [, added, known, erased, observations] = await Promise.all([
    limitWaits(sql, options),
    insertEvents(sql, distinct.map(ledgerEntry), options.discardUnmatched),
    lookUp(sql, distinct),
    findErased(sql, addressesOf(distinct)),
    precompute(distinct),
  ]);
  if (erased.size > 0)
    await replacePayloads(
      sql,
      distinct.map((delivery) => withoutErased(delivery, erased)),
    );
  const fresh = distinct.filter(({ eventId }) => added.has(eventId));
  const results = await applyDeliveries(sql, fresh, known, observations);
  // The ledger rows of all others were inserted with their final state.
  const open = results.filter(({ delivery }) => delivery.change?.hosts.length === 0);
  await settleEvents(sql, open.map(settlementOf));
  const byDelivery = new Map(results.map((result) => [result.delivery, result]));
  return deliveries.map((delivery) => byDelivery.get(delivery) ?? resultOf(delivery, 'duplicate'));
}

/** Applies stored deliveries again and records the results. */
export async function reapply(sql: Sql, deliveries: Delivery[]): Promise<DeliveryResult[]> {
  const results = await applyDeliveries(sql, deliveries, await lookUp(sql, deliveries));
  await settleEvents(sql, results.map(settlementOf));
  return results;
}

/**
 * Stores deliveries that cannot be applied now, with the reason. In a transaction of its own.
 * @param options `asText` stores the body as one JSON string, for a body that Postgres refuses as JSON
 */
export async function recordPending(
  sql: Sql,
  deliveries: Delivery[],
  { error = null, waitsFor = null }: { error?: string | null; waitsFor?: string | null },
  { asText = false, limits }: { asText?: boolean; limits: WaitLimits },
): Promise<DeliveryResult[]> {
  const [, erased] = await Promise.all([limitWaits(sql, limits), findErased(sql, addressesOf(deliveries))]);
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
}

async function lookUp(sql: Sql, deliveries: Delivery[]): Promise<Known> {
  const wanted = deliveries.flatMap(({ change }) =>
    change ? change.hosts.map((host) => ({ host, externalId: externalId(change.observation.uri) })) : [],
  );
  if (wanted.length === 0) return { users: new Map(), locked: new Map() };
  const hosts = [...new Set(wanted.map(({ host }) => host))];
  const [users, locked] = await Promise.all([findUsersByUris(sql, hosts), lockEventsOfHosts(sql, wanted)]);
  return { users, locked };
}

/** Computes inserts while the queries are in flight. Async: an error must reject, not interrupt the sending. */
async function precompute(deliveries: Delivery[]): Promise<Observations> {
  const changes = deliveries.flatMap(({ change }) => change ?? []);
  return new Map(
    changes.map((change) => {
      const { observation } = change;
      return [change, { ...observation, ifNotStored: diffMeeting(null, observation) }];
    }),
  );
}

function ledgerEntry(delivery: Delivery): LedgerEntry {
  const { eventId, eventType, body, inviteeUri, occurredAt, change, problem } = delivery;
  const done = change === null && problem === null;
  const hosts = change?.hosts ?? [];
  return { eventId, eventType, body, inviteeUri, occurredAt, hosts, done, error: problem, waitsFor: null };
}

type Observations = ReadonlyMap<MeetingChange, Observation>;

/** A change to apply, and the result that reports its effect. */
interface Item {
  observation: Observation;
  hosts: string[];
  result: DeliveryResult;
}

async function applyDeliveries(
  sql: Sql,
  deliveries: Delivery[],
  { users, locked }: Known,
  observations: Observations = new Map(),
): Promise<DeliveryResult[]> {
  const hostless = deliveries.flatMap(({ change }) =>
    change?.hosts.length === 0 ? externalId(change.observation.uri) : [],
  );
  const owners = hostless.length > 0 ? await findOwners(sql, hostless) : new Map<string, string[]>();
  const perUser = new Map<string, Item[]>();
  const results = deliveries.map((delivery) => {
    const { change, problem } = delivery;
    if (change === null) return resultOf(delivery, problem === null ? 'ignored' : 'failed', problem);
    const userIds = userIdsOf(change, users, owners);
    const result = userIds.length > 0 ? resultOf(delivery, 'applied') : withoutUser(delivery, change);
    const item = { observation: observations.get(change) ?? change.observation, hosts: change.hosts, result };
    for (const userId of userIds) perUser.set(userId, [...(perUser.get(userId) ?? []), item]);
    return result;
  });
  // In the order of ids, and all sent at once: the statements of one user do not depend on those of another.
  const work = [...perUser]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([userId, items]) => applyForUser(sql, userId, items, locked.get(userId) ?? []));
  // Waits for all: a failure must not leave a statement of the transaction running.
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
  return results;
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

/** Applies one user's changes in rounds: each round takes one change of each meeting. */
async function applyForUser(sql: Sql, userId: string, items: Item[], locked: string[]): Promise<void> {
  let pending = items;
  // A meeting is locked through its host; those of deliveries that name no host are not among the locked ones.
  let known = items.every(({ hosts }) => hosts.length > 0) ? locked : undefined;
  while (pending.length > 0) {
    const round = new Map<string, Item>();
    for (const item of pending) {
      if (!round.has(item.observation.uri)) round.set(item.observation.uri, item);
    }
    const inRound = [...round.values()];
    const observations = inRound.map(({ observation }) => observation);
    const applied = await applyObservations(sql, userId, observations, known);
    for (const [index, one] of applied.entries()) inRound[index]?.result.applied.push(one);
    // The next round must find what this one wrote.
    known = undefined;
    pending = pending.filter((item) => !inRound.includes(item));
  }
}

/** The result of a delivery that nothing was applied of. */
export function resultOf(
  delivery: Delivery,
  status: DeliveryStatus,
  error: string | null = null,
): DeliveryResult {
  return { status, delivery, applied: [], error };
}

function settlementOf({ delivery, status, error, applied }: DeliveryResult): Settlement {
  const hosts = status === 'unmatched' ? (delivery.change?.hosts ?? null) : null;
  const userId = applied[0]?.userId ?? null;
  return { eventId: delivery.eventId, userId, processed: error === null, error, waitsFor: null, hosts };
}
