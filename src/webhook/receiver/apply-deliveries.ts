/**
 * What a transaction does with deliveries: the ledger's rows, the meetings and the invitees, all or nothing. Deliveries that are
 * in the ledger already are done with. Knows no HTTP.
 */

import type { Sql } from '../../database/connection.js';
import { preferIndexes } from '../../database/prepared-statements.js';
import { findUsersByUris } from '../../database/tables/accounts.js';
import { findOwners, lockMeetingsOfHosts } from '../../database/tables/meetings.js';
import {
  insertEvents,
  type LedgerEntry,
  type Settlement,
  settleEvents,
} from '../../database/tables/webhook-events.js';
import { type Applied, applyObservations } from '../../resources/meetings/apply.js';
import { diffMeeting, type Observation } from '../../resources/meetings/diff.js';
import { externalId } from '../../resources/meetings/rows.js';
import type { Change, Delivery } from './delivery.js';

/**
 * `applied`: the meeting says it now · `kept`: a kind that changes no meeting · `unclaimed`: nobody here knows its host ·
 * `unapplied`: kept with its error · `duplicate`: it was here before.
 */
export type Status = 'applied' | 'kept' | 'unclaimed' | 'unapplied' | 'duplicate';

/** What became of one delivery. */
export interface Outcome {
  status: Status;
  delivery: Delivery;
  /** What it did, for each user whose meeting it is. */
  applied: Applied[];
  /** Why it could not be applied. */
  error: string | null;
}

/** Takes deliveries in, those of one change only once. Answers in the order given. */
export async function recordAndApply(sql: Sql, deliveries: Delivery[]): Promise<Outcome[]> {
  const first = new Map(deliveries.map((delivery) => [delivery.eventId, delivery]).reverse() as Entries);
  const entries = [...first.values()].map((delivery) => ledgerEntry(delivery));
  const [, added, known, observations] = await Promise.all([
    preferIndexes(sql),
    insertEvents(sql, entries),
    lookUp(sql, [...first.values()]),
    // Computed while the database executes those statements.
    observe([...first.values()]),
  ]);
  const fresh = [...first.values()].filter(({ eventId }) => added.has(eventId));
  const outcomes = await applyDeliveries(sql, fresh, known, observations);
  const settled = new Map(outcomes.map((outcome) => [outcome.delivery, outcome]));
  await settleEvents(sql, outcomes.filter(isUnforeseen).map(settlementOf));
  return deliveries.map(
    (delivery) => settled.get(delivery) ?? { status: 'duplicate', delivery, applied: [], error: null },
  );
}

/** Applies kept deliveries again, and notes what became of them. */
export async function reapply(sql: Sql, deliveries: Delivery[]): Promise<Outcome[]> {
  const [, known, observations] = await Promise.all([
    preferIndexes(sql),
    lookUp(sql, deliveries),
    observe(deliveries),
  ]);
  const outcomes = await applyDeliveries(sql, deliveries, known, observations);
  await settleEvents(
    sql,
    outcomes.filter(({ status }) => status !== 'unclaimed').map((outcome) => settlementOf(outcome)),
  );
  return outcomes;
}

/** Keeps a delivery that the database refused to apply, with the reason. Its own transaction: nothing else is in it. */
export async function recordFailed(
  sql: Sql,
  delivery: Delivery,
  error: string,
  asText: boolean,
): Promise<Outcome> {
  const entry = { ...ledgerEntry(delivery), done: false, error };
  // As one JSON text, when Postgres takes it in no other form.
  if (asText) entry.body = delivery.text;
  const added = await insertEvents(sql, [entry]);
  const status = added.size > 0 ? 'unapplied' : 'duplicate';
  return { status, delivery, applied: [], error };
}

type Entries = [string, Delivery][];

/** What the database knows of deliveries' hosts and meetings. */
interface Known {
  /** Users by their Calendly URI. */
  users: ReadonlyMap<string, string>;
  /** External ids of the meetings that are stored, and now locked, by user. */
  locked: ReadonlyMap<string, string[]>;
}

async function lookUp(sql: Sql, deliveries: Delivery[]): Promise<Known> {
  const wanted = deliveries.flatMap(({ change }) =>
    change ? change.hosts.map((host) => ({ host, externalId: externalId(change.meetingUri) })) : [],
  );
  if (wanted.length === 0) return { users: new Map(), locked: new Map() };
  const hosts = [...new Set(wanted.map(({ host }) => host))];
  const [users, locked] = await Promise.all([findUsersByUris(sql, hosts), lockMeetingsOfHosts(sql, wanted)]);
  return { users, locked };
}

/** The deliveries that change a meeting as observations, each with its diff against an empty database. */
async function observe(deliveries: Delivery[]): Promise<Map<Delivery, Observation>> {
  const observations = new Map<Delivery, Observation>();
  for (const delivery of deliveries) {
    const { change } = delivery;
    if (!change) continue;
    const { meetingUri: uri, event, invitee, noShowRemovedAt } = change;
    const observation = { uri, event, invitees: [invitee], requestedAt: null, noShowRemovedAt };
    observations.set(delivery, { ...observation, ifNotStored: diffMeeting(null, observation) });
  }
  return observations;
}

function ledgerEntry({
  eventId,
  eventType,
  body,
  inviteeUri,
  occurredAt,
  change,
  problem,
}: Delivery): LedgerEntry {
  const done = change === null && problem === null;
  return {
    eventId,
    eventType,
    body,
    inviteeUri,
    occurredAt,
    hosts: change?.hosts ?? [],
    done,
    error: problem,
  };
}

async function applyDeliveries(
  sql: Sql,
  deliveries: Delivery[],
  { users, locked }: Known,
  observations: ReadonlyMap<Delivery, Observation>,
): Promise<Outcome[]> {
  const hostless = deliveries.flatMap(({ change }) =>
    change?.hosts.length === 0 ? externalId(change.meetingUri) : [],
  );
  const owners = hostless.length > 0 ? await findOwners(sql, hostless) : new Map<string, string[]>();
  const outcomes = new Map<Delivery, Outcome>();
  const perUser = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const { change, problem } = delivery;
    const whose = change ? userIdsOf(change, users, owners) : [];
    for (const userId of whose) perUser.set(userId, [...(perUser.get(userId) ?? []), delivery]);
    outcomes.set(delivery, { delivery, applied: [], ...firstStatus(change, problem, whose) });
  }
  // In the order of ids, and sent one behind the other without waiting: each user's statements are their own.
  const ids = [...perUser.keys()].sort();
  await settled(
    ids.map((userId) => {
      const user = { userId, locked: locked.get(userId) ?? [] };
      return applyForUser(sql, user, perUser.get(userId) ?? [], observations, outcomes);
    }),
  );
  return deliveries.flatMap((delivery) => outcomes.get(delivery) ?? []);
}

function firstStatus(change: Change | null, problem: string | null, whose: string[]) {
  if (problem !== null) return { status: 'unapplied' as const, error: problem };
  if (change === null) return { status: 'kept' as const, error: null };
  if (whose.length > 0) return { status: 'applied' as const, error: null };
  if (change.hosts.length > 0) return { status: 'unclaimed' as const, error: null };
  const error = `the delivery does not say whose meeting it is, and ${change.meetingUri} is not stored`;
  return { status: 'unapplied' as const, error };
}

function userIdsOf(
  { hosts, meetingUri }: Change,
  users: ReadonlyMap<string, string>,
  owners: ReadonlyMap<string, string[]>,
): string[] {
  const found = hosts.length > 0 ? hosts.map((uri) => users.get(uri)) : owners.get(externalId(meetingUri));
  return [...new Set((found ?? []).filter((id) => id !== undefined))];
}

/** One user's deliveries: each meeting once in a round, and again in the next for a second delivery of it. */
async function applyForUser(
  sql: Sql,
  { userId, locked }: { userId: string; locked: string[] },
  deliveries: Delivery[],
  observations: ReadonlyMap<Delivery, Observation>,
  outcomes: ReadonlyMap<Delivery, Outcome>,
): Promise<void> {
  let open = deliveries;
  // What was locked by its host leaves out the meetings of deliveries that name none.
  let known = deliveries.every(({ change }) => change && change.hosts.length > 0) ? locked : undefined;
  while (open.length > 0) {
    const round = new Map<string, Delivery>();
    for (const delivery of open) {
      const uri = delivery.change?.meetingUri ?? '';
      if (!round.has(uri)) round.set(uri, delivery);
    }
    const inRound = [...round.values()];
    const observed = inRound.flatMap((delivery) => observations.get(delivery) ?? []);
    const applied = await applyObservations(sql, userId, observed, known);
    // The next round finds what this one wrote.
    known = undefined;
    for (const [index, one] of applied.entries()) {
      const delivery = inRound[index];
      if (delivery) outcomes.get(delivery)?.applied.push(one);
    }
    open = open.filter((delivery) => !inRound.includes(delivery));
  }
}

/** True where the ledger's row, as it was inserted, does not say what came of it. */
function isUnforeseen({ status, delivery }: Outcome): boolean {
  const { change, problem } = delivery;
  return problem === null && change !== null && change.hosts.length === 0 && status !== 'kept';
}

function settlementOf({ delivery, status, error, applied }: Outcome): Settlement {
  const processed = status === 'applied' || status === 'kept';
  return { eventId: delivery.eventId, userId: applied[0]?.userId ?? null, processed, error };
}

/** Waits for all, then fails with the first failure: no statement of the transaction is left running. */
async function settled(work: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
