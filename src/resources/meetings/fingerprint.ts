/**
 * The fingerprint of a listed event: it changes when the event's invitees may have changed. A cancellation, a
 * reschedule and a new conference link change `updated_at`. It is not documented whether joining or leaving a
 * group event does, but either changes the counters. A no-show mark changes nothing here. Pure.
 */
import type { CalendlyEvent } from '../../calendly/schemas.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';

/** The fingerprint of an event. If it is the same as before, the invitees need not be read again. */
export function fingerprint(event: CalendlyEvent): string {
  const { status, updated_at, invitees_counter } = event;
  return [
    status ?? '',
    canonicalTimestamp(updated_at) ?? '',
    invitees_counter?.total ?? '',
    invitees_counter?.active ?? '',
  ].join('|');
}

/** False for an event that never had an invitee, so that there is nothing to read. */
export function hasInvitees(event: CalendlyEvent): boolean {
  return event.invitees_counter?.total !== 0;
}
