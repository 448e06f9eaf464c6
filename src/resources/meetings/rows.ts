/**
 * Maps Calendly events and invitees to rows of our tables, and compares rows. Every column is derived from
 * the merged raw resource, so that `raw` and the columns cannot disagree. Pure: knows no SQL and no HTTP.
 */
import {
  type CalendlyEvent,
  type CalendlyInvitee,
  parseEvent,
  parseInvitee,
} from '../../calendly/schemas.js';
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';
import type { InviteeRow } from '../../database/tables/invitees.js';
import type { MeetingRow } from '../../database/tables/meetings.js';

/** A resource's id: the last segment of its URI. It is not always a UUID. */
export function externalId(uri: string): string {
  return uri.replace(/\/+$/, '').split('/').at(-1) ?? uri;
}

/** Maps an event to a row of `meetings`; what cannot be used becomes null. */
export function meetingRow(raw: Json): MeetingRow {
  const event = requireParsed(parseEvent(raw));
  const canceled = event.status === 'canceled';
  const cancellation = canceled ? event.cancellation : null;
  const canceledAt = canonicalTimestamp(cancellation?.created_at);
  return {
    external_id: externalId(event.uri),
    calendly_uri: event.uri,
    title: event.name ?? null,
    status: event.status ?? null,
    start_time: canonicalTimestamp(event.start_time),
    end_time: canonicalTimestamp(event.end_time),
    event_type_uri: event.event_type ?? null,
    location_type: textOrNull(event.location?.type),
    location: event.location ?? null,
    join_url: textOrNull(event.location?.join_url),
    invitees_total: event.invitees_counter?.total ?? null,
    invitees_active: event.invitees_counter?.active ?? null,
    is_deleted: canceled,
    // Older cancellations have no time; the event's last change is the closest one known.
    deleted_at: canceled ? (canceledAt ?? canonicalTimestamp(event.updated_at)) : null,
    deleted_reason: canceled ? 'canceled' : null,
    canceled_by: cancellation?.canceled_by ?? null,
    cancel_reason: cancellation?.reason ?? null,
    canceled_at: canceledAt,
    calendly_created_at: canonicalTimestamp(event.created_at),
    calendly_updated_at: canonicalTimestamp(event.updated_at),
    raw,
  };
}

/** Maps an invitee to a row of `meeting_invitees`; what cannot be used becomes null. */
export function inviteeRow(raw: Json): InviteeRow {
  const invitee = requireParsed(parseInvitee(raw));
  const cancellation = invitee.status === 'canceled' ? invitee.cancellation : null;
  return {
    calendly_uri: invitee.uri,
    email: invitee.email ?? null,
    name: invitee.name ?? null,
    first_name: invitee.first_name ?? null,
    last_name: invitee.last_name ?? null,
    status: invitee.status ?? null,
    timezone: invitee.timezone ?? null,
    rescheduled: invitee.rescheduled ?? null,
    old_invitee_uri: invitee.old_invitee ?? null,
    new_invitee_uri: invitee.new_invitee ?? null,
    no_show_at: canonicalTimestamp(invitee.no_show?.created_at),
    canceled_by: cancellation?.canceled_by ?? null,
    cancel_reason: cancellation?.reason ?? null,
    canceled_at: canonicalTimestamp(cancellation?.created_at),
    questions_and_answers: invitee.questions_and_answers ?? null,
    tracking: invitee.tracking ?? null,
    payment: invitee.payment ?? null,
    calendly_created_at: canonicalTimestamp(invitee.created_at),
    calendly_updated_at: canonicalTimestamp(invitee.updated_at),
    raw,
  };
}

/** Compares JSON values; the order of keys does not matter. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((one, index) => sameJson(one, b[index]));
  }
  if (!isJson(a) || !isJson(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}

/** True if the stored row has the same value in every column of `row`. */
export function sameRow(row: object, stored: object): boolean {
  return Object.entries(row).every(([key, value]) => sameJson(value, (stored as Json)[key] ?? null));
}

function requireParsed<T extends CalendlyEvent | CalendlyInvitee>(parsed: { value: T } | null): T {
  if (parsed === null) throw new TypeError('A resource without a URI cannot be stored.');
  return parsed.value;
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
