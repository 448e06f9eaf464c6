/**
 * Makes the accounts of delivered meetings due soon: a conference link is added seconds after the booking, and no webhook
 * tells of it; and the other delivery of a reschedule may be lost. In a transaction of its own, for which nobody waits.
 */
import type { Database } from '../../database/connection.js';
import { WAKE_S, wakeAccounts } from '../../database/tables/leases.js';
import type { Delivery } from './delivery.js';

/** Returns the function to call with deliveries that are committed. */
export function createWaker(database: Database): (deliveries: Delivery[]) => void {
  /** Hosts that were made due a short time ago. */
  let recent = new Set<string>();
  let since = performance.now();
  return (deliveries) => {
    if (performance.now() - since > WAKE_S * 1_000) [recent, since] = [new Set(), performance.now()];
    const hosts = deliveries.flatMap(({ change }) => change?.hosts ?? []).filter((uri) => !recent.has(uri));
    if (hosts.length === 0) return;
    for (const uri of hosts) recent.add(uri);
    // If it fails, the account is synced when it is due anyway.
    database.query((sql) => wakeAccounts(sql, hosts)).catch(() => {});
  };
}
