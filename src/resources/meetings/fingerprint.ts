/**
 * What in an event's list row says that its invitees may have changed: status, `updated_at`, and how many invitees there are
 * and are active. A cancel, a reschedule and a pushed conference link move `updated_at`; whether joining or leaving a group
 * event does is not documented, but it moves the counters. A no-show mark moves nothing. Pure.
 */
import type { CalendlyEvent } from '../../calendly/schemas.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';

/** The fingerprint of an event. Equal fingerprints: its invitees need not be read again. */
export function fingerprint(event: CalendlyEvent): string {
  const { status, updated_at, invitees_counter } = event;
  return [
    status ?? '',
    canonicalTimestamp(updated_at) ?? '',
    invitees_counter?.total ?? '',
    invitees_counter?.active ?? '',
  ].join('|');
}

/** False for an event that never had an invitee: there is nothing to read. */
export function hasInvitees(event: CalendlyEvent): boolean {
  return event.invitees_counter?.total !== 0;
}
