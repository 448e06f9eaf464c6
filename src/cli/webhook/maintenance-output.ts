/** The lines that a sync prints about webhooks: repairs of the subscription, and replayed deliveries. */
import type { SyncEvent } from '../../sync/report.js';
import type { Output } from '../terminal/output.js';
import { oneLine } from '../terminal/sanitize.js';

/** Prints the event if it is about webhooks. */
export function showMaintenance(output: Output, event: SyncEvent): void {
  if (event.type === 'subscription_repair') {
    const { state, renewed, problem } = event.repair;
    const what = `Calendly has ${state === 'gone' ? 'lost' : 'disabled'} our webhook subscription`;
    if (renewed !== null) output.warn(`${what}; it has been recreated.`);
    if (problem === null) return;
    const why = problem === 'no_key' ? 'is not set' : 'is not the key it was created with';
    output.warn(`${what}, and CALENDLY_WEBHOOK_SIGNING_KEY ${why}: calendly-sync webhook subscribe --url U`);
  }
  if (event.type === 'subscription_repair_failed') {
    output.warn(`The webhook subscription could not be checked: ${event.error.message}`);
  }
  if (event.type === 'replayed') {
    const { applied, failed } = event.replay;
    if (applied > 0) output.note(`Applied ${applied} stored webhook deliveries.`);
    const [first] = failed;
    if (first) {
      output.warn(`${failed.length} stored webhook deliveries could not be applied: ${oneLine(first.error)}`);
    }
  }
}
