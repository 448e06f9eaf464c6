/**
 * Applies kept deliveries that were not applied: their host is connected now, or what stood in the way is mended. Each in a
 * savepoint of its own, so that one that still fails stops no other.
 */
import { parseJson } from '../calendly/json.js';
import type { Database, Sql } from '../database/connection.js';
import { errorCode, isRefusedRow } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import { lockWaitingEvents, settleEvents, type WaitingEvent } from '../database/tables/webhook-events.js';
import { toCalendlySyncError } from '../errors.js';
import { type Outcome, reapply } from './receiver/apply-deliveries.js';
import { type Delivery, readDelivery } from './receiver/delivery.js';

export interface ReplayResult {
  applied: number;
  /** Still waiting for a host who is not connected. */
  unclaimed: number;
  failed: { event_id: string; error: string }[];
}

export interface ReplayOptions {
  database: Database;
  signal?: AbortSignal | undefined;
  /** Hears of each delivery that was applied. */
  onApplied?: (outcome: Outcome) => void;
}

const BATCH = 100;

/** Applies what waits; when it is aborted, what is applied by then stays. */
export async function replayWebhookEvents({
  database,
  signal,
  onApplied,
}: ReplayOptions): Promise<ReplayResult> {
  const result: ReplayResult = { applied: 0, unclaimed: 0, failed: [] };
  for (let after = ''; !signal?.aborted; ) {
    const { outcomes, last } = await persistentTransaction(database, (sql) => replayBatch(sql, after));
    for (const { eventId, outcome, error } of outcomes) {
      if (error !== null) result.failed.push({ event_id: eventId, error });
      else if (outcome?.status === 'unclaimed') result.unclaimed++;
      else if (outcome) {
        result.applied++;
        onApplied?.(outcome);
      }
    }
    if (last === null) break;
    after = last;
  }
  return result;
}

interface Replayed {
  eventId: string;
  outcome: Outcome | null;
  error: string | null;
}

async function replayBatch(sql: Sql, after: string): Promise<{ outcomes: Replayed[]; last: string | null }> {
  const waiting = await lockWaitingEvents(sql, after, BATCH);
  const outcomes: Replayed[] = [];
  for (const event of waiting) outcomes.push(await replayOne(sql, event));
  return { outcomes, last: waiting.at(-1)?.event_id ?? null };
}

async function replayOne(sql: Sql, { event_id: eventId, payload }: WaitingEvent): Promise<Replayed> {
  try {
    // Its own id stays, whatever a newer version of the tool would make of it.
    const delivery: Delivery = { ...readKept(payload), eventId };
    const [outcome = null] = await sql.savepoint((inner) => reapply(inner, [delivery]));
    return { eventId, outcome, error: outcome?.status === 'unapplied' ? outcome.error : null };
  } catch (thrown) {
    if (errorCode(thrown) !== null && !isRefusedRow(thrown)) throw thrown;
    const error = toCalendlySyncError(thrown).message;
    await settleEvents(sql, [{ eventId, userId: null, processed: false, error }]);
    return { eventId, outcome: null, error };
  }
}

function readKept(payload: WaitingEvent['payload']): Delivery {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const delivery = readDelivery(typeof payload === 'string' ? parseJson(payload) : payload, text);
  if (delivery === null) throw new TypeError('what is kept of it is no delivery');
  return delivery;
}
