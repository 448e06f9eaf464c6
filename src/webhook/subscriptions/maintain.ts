/**
 * Keeps webhooks working around a sync: repair, sync, replay. A repaired subscription makes the sync list the full
 * window, and the sync may connect a host whose deliveries wait. Gets the sync as a function and knows nothing of it.
 */
import type { CalendlySyncError } from '../../errors.js';
import { toCalendlySyncError } from '../../errors.js';
import { type ReplayResult, replayWebhookEvents } from '../replay.js';
import { type Repair, type RepairOptions, repairSubscription } from './repair.js';

/**
 * `subscription_repair`: it was disabled or gone, and `renewed` or `problem` says what was done · `…_failed`: it could
 * not be repaired, and the sync goes on · `replayed`: stored deliveries were applied, or failed again.
 */
export type MaintenanceEvent = { email?: string | null } & (
  | { type: 'subscription_repair'; repair: Repair }
  | { type: 'subscription_repair_failed'; error: CalendlySyncError }
  | { type: 'replayed'; replay: ReplayResult }
);

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
  const repair = options.repair ? await tryRepair(options) : null;
  const result = await sync();
  await applyPending(options);
  return { result, repair };
}

/** Applies stored deliveries whose host is connected now, or that failed. */
export async function applyPending({
  database,
  signal,
  onEvent,
}: Pick<MaintainOptions, 'database' | 'signal' | 'onEvent'>): Promise<void> {
  if (signal.aborted) return;
  const replay = await replayWebhookEvents({ database, signal });
  if (replay.applied > 0 || replay.failed.length > 0) onEvent({ type: 'replayed', replay });
}

/** Repairs the subscription of an account; a failure is an event, not an error. */
export async function tryRepair(options: MaintainOptions): Promise<Repair | null> {
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
