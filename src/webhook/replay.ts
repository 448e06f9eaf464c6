/**
 * Applies stored deliveries that could not be applied before: their host is connected now, or the cause of the error
 * is fixed. Each has a savepoint of its own, so that one that fails again stops no other.
 */
import { parseJson } from '../calendly/json.js';
import type { Database, Sql } from '../database/connection.js';
import { errorCode, isRefusedRow } from '../database/errors.js';
import { persistentTransaction } from '../database/retry.js';
import { lockWaitingEvents, settleEvents, type WaitingEvent } from '../database/tables/webhook-events.js';
import { toCalendlySyncError } from '../errors.js';
import { type DeliveryResult, reapply } from './receiver/apply-deliveries.js';
import { type Delivery, parseDelivery } from './receiver/delivery.js';

export interface ReplayResult {
  applied: number;
  /** Still waiting for a host who is not connected. */
  unmatched: number;
  failed: { event_id: string; error: string }[];
}

export interface ReplayOptions {
  database: Database;
  /** When aborted, what has been applied stays applied. */
  signal?: AbortSignal | undefined;
  /** Called for each delivery that was applied. */
  onApplied?: (result: DeliveryResult) => void;
}

const BATCH_SIZE = 100;

/** Applies stored deliveries. Needs migration 022. */
export async function replayWebhookEvents(options: ReplayOptions): Promise<ReplayResult> {
  const { database, signal, onApplied } = options;
  const total: ReplayResult = { applied: 0, unmatched: 0, failed: [] };
  for (let after = ''; !signal?.aborted; ) {
    const replayed = await persistentTransaction(database, (sql) => replayBatch(sql, after));
    for (const { eventId, result, error } of replayed) {
      if (error !== null) total.failed.push({ event_id: eventId, error });
      else if (result?.status === 'unmatched') total.unmatched++;
      else if (result) {
        total.applied++;
        onApplied?.(result);
      }
    }
    const last = replayed.at(-1);
    if (!last) break;
    after = last.eventId;
  }
  return total;
}

interface Replayed {
  eventId: string;
  result: DeliveryResult | null;
  error: string | null;
}

async function replayBatch(sql: Sql, after: string): Promise<Replayed[]> {
  const replayed: Replayed[] = [];
  for (const event of await lockWaitingEvents(sql, after, BATCH_SIZE))
    replayed.push(await replayOne(sql, event));
  return replayed;
}

async function replayOne(sql: Sql, { event_id: eventId, payload }: WaitingEvent): Promise<Replayed> {
  try {
    // The stored id stays, even if this version would derive another one.
    const delivery = { ...parseStored(payload), eventId };
    const [result = null] = await sql.savepoint((inner) => reapply(inner, [delivery]));
    return { eventId, result, error: result?.status === 'failed' ? result.error : null };
  } catch (error) {
    if (errorCode(error) !== null && !isRefusedRow(error)) throw error;
    const { message } = toCalendlySyncError(error);
    await settleEvents(sql, [{ eventId, userId: null, processed: false, error: message }]);
    return { eventId, result: null, error: message };
  }
}

function parseStored(payload: WaitingEvent['payload']): Delivery {
  const isText = typeof payload === 'string';
  const delivery = isText
    ? parseDelivery(parseJson(payload), payload)
    : parseDelivery(payload, JSON.stringify(payload));
  if (delivery === null) throw new TypeError('the stored payload is not a webhook delivery');
  return delivery;
}
