/**
 * The digest and the fingerprint of a listed event. The digest changes with anything in it. The fingerprint changes
 * if the event's invitees may have changed. A cancellation, a reschedule and a new conference link change
 * `updated_at`. It is not documented whether joining or leaving a group event does, but either changes the
 * counters. A no-show mark changes nothing here. Pure.
 */
import { createHash } from 'node:crypto';
import type { CalendlyEvent } from '../../calendly/schemas.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';

/** The digest of an event, whatever the order of its keys: a jsonb column does not keep it. */
export function digest(raw: Json): string {
  const sorted = (_key: string, value: unknown) =>
    isJson(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  return createHash('sha256').update(JSON.stringify(raw, sorted)).digest('base64url');
}

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
