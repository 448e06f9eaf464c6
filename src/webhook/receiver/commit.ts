/**
 * From a delivery to its commit: in groups, a transaction each, and alone when a group fails because of one of its members.
 * A delivery that the database will not have is kept with the reason; one that cannot even be kept now is the sender's to repeat.
 */
import type { Database } from '../../database/connection.js';
import { isRefusedRow, isTransient, sqlState } from '../../database/errors.js';
import { type CalendlySyncError, toCalendlySyncError } from '../../errors.js';
import { type Outcome, recordAndApply, recordFailed } from './apply-deliveries.js';
import type { Delivery } from './delivery.js';
import { createGroups } from './group-commit.js';

export interface Intake {
  /** Resolves after the commit. @throws CalendlySyncError when nothing could be kept */
  take(delivery: Delivery): Promise<Outcome>;
  /** Deliveries in hand. */
  size(): number;
  /** Done when nothing is in hand. */
  idle(): Promise<void>;
}

/** Most deliveries of one transaction: larger ones save nothing and hold their locks longer. */
const GROUP = 64;
/** Further transactions beside one that takes long, because it waits for a lock or for a slow disk. */
const AT_ONCE = 3;
const PATIENCE_MS = 20;
const GATHER_MS = 4;
/** Tries of one transaction that lost a deadlock or its connection. */
const TRIES = 3;

export function createIntake(database: Database): Intake {
  const groups = createGroups<Delivery, Result>({
    most: GROUP,
    atOnce: database.kind === 'embedded' ? 1 : AT_ONCE,
    gatherMs: GATHER_MS,
    patienceMs: PATIENCE_MS,
    run: (group) => commit(database, group),
  });
  return {
    async take(delivery) {
      const result = await groups.add(delivery);
      if ('failure' in result) throw result.failure;
      return result.outcome;
    },
    size: groups.size,
    idle: groups.idle,
  };
}

type Result = { outcome: Outcome } | { failure: CalendlySyncError };

async function commit(database: Database, group: Delivery[]): Promise<Result[]> {
  try {
    const outcomes = await persisting(() => database.transaction((sql) => recordAndApply(sql, group)));
    return outcomes.map((outcome) => ({ outcome }));
  } catch (thrown) {
    const [only] = group;
    if (!isOneDeliverys(thrown)) return group.map(() => ({ failure: toCalendlySyncError(thrown) }));
    if (group.length === 1 && only) return [await keep(database, only, thrown)];
    const results: Result[] = [];
    for (const delivery of group) results.push(...(await commit(database, [delivery])));
    return results;
  }
}

/** Keeps a delivery that was refused for its own sake, so that `webhook replay` can apply it once that is mended. */
async function keep(database: Database, delivery: Delivery, refusal: unknown): Promise<Result> {
  const error = toCalendlySyncError(refusal).message;
  for (const asText of [false, true]) {
    try {
      const outcome = await persisting(() =>
        database.transaction((sql) => recordFailed(sql, delivery, error, asText)),
      );
      return { outcome };
    } catch (thrown) {
      if (!isOneDeliverys(thrown)) return { failure: toCalendlySyncError(thrown) };
    }
  }
  return { failure: toCalendlySyncError(refusal) };
}

/** Tries again what lost a deadlock; a database that is away is the sender's to wait for. */
async function persisting<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (attempt >= TRIES || !isTransient(thrown) || !isConflict(thrown)) throw thrown;
    }
  }
}

function isConflict(thrown: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(thrown));
}

/** True for an error that one delivery can cause: odd data, a constraint or trigger of the table's owner, too much of it. */
function isOneDeliverys(thrown: unknown): boolean {
  if (thrown instanceof TypeError || thrown instanceof RangeError) return true;
  return isRefusedRow(thrown);
}
