/**
 * Whose meeting an event is, by its hosts: one rule for listings, single requests and deliveries, and for every role.
 * An admin may read anybody's events, so being able to read one says nothing. Pure.
 */
import { isJson, type Json } from '../../database/table.js';
import { externalId } from './rows.js';

/** `unknown`: the event does not name its hosts, which is no reason to change anything. */
export type Ownership = 'hosted' | 'reassigned' | 'unknown';

/** Whether a Calendly user hosts an event. */
export function ownership(event: Json, userUri: string): Ownership {
  const hosts = hostsOf(event).map(externalId);
  if (hosts.length === 0) return 'unknown';
  return hosts.includes(externalId(userUri)) ? 'hosted' : 'reassigned';
}

/** URIs of the users who host an event; empty if it does not name them. */
export function hostsOf(event: Json | null): string[] {
  const memberships = event?.event_memberships;
  if (!Array.isArray(memberships)) return [];
  return memberships.flatMap((host) =>
    isJson(host) && typeof host.user === 'string' && host.user !== '' ? host.user : [],
  );
}
