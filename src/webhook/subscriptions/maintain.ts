/**
 * Keeps webhooks working around a sync: repair, sync, replay. A repaired subscription makes the sync list the full
 * window, and the sync may connect a host whose deliveries wait. Gets the sync as a function and knows nothing of it.
 */
import type { CalendlySyncError } from '../../errors.js';
import { toCalendlySyncError } from '../../errors.js';
import { type ReplayResult, replayWebhookEvents } from '../replay.js';
import { type Repair, type RepairOptions, repairSubscription } from './repair.js';

export type MaintenanceEvent =
  /** The subscription was disabled or gone; `renewed` or `problem` says what was done. */
  | { type: 'subscription_repair'; repair: Repair }
  /** The subscription could not be repaired; the sync goes on. */
  | { type: 'subscription_repair_failed'; error: CalendlySyncError }
  /** Stored deliveries were applied, or failed again. */
  | { type: 'replayed'; replay: ReplayResult };

export interface MaintainOptions extends RepairOptions {
  signal: AbortSignal;
  /** False leaves a disabled subscription as it is. */
  repair: boolean;
  onEvent(event: MaintenanceEvent): void;
}

/** Runs a sync between repair and replay. Needs migration 022. */
export async function maintainWebhooks<T>(
  options: MaintainOptions,
  sync: () => Promise<T>,
): Promise<{ result: T; repair: Repair | null }> {
  const { database, signal, onEvent } = options;
  const repair = options.repair ? await tryRepair(options) : null;
  const result = await sync();
  if (!signal.aborted) {
    const replay = await replayWebhookEvents({ database, signal });
    if (replay.applied > 0 || replay.failed.length > 0) onEvent({ type: 'replayed', replay });
  }
  return { result, repair };
}

async function tryRepair(options: MaintainOptions): Promise<Repair | null> {
  try {
    const repair = await repairSubscription(options);
    if (repair && repair.state !== 'active') options.onEvent({ type: 'subscription_repair', repair });
    return repair;
  } catch (error) {
    if (!options.signal.aborted) {
      options.onEvent({ type: 'subscription_repair_failed', error: toCalendlySyncError(error) });
    }
    return null;
  }
}
