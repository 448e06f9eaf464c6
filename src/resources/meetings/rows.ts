/**
 * Calendly's resources as rows of our tables: how a newer reading joins what is known, and which columns come of it. Pure.
 * Every column is derived from the merged raw resource, so that raw and columns cannot disagree.
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

/** The last segment of a resource's URI: its id, which is not always a UUID. */
export function externalId(uri: string): string {
  return uri.replace(/\/+$/, '').split('/').at(-1) ?? uri;
}

/** The row of an event as it was read or merged. */
export function meetingRow(raw: Json): MeetingRow {
  const event = usable(parseEvent(raw));
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
    location_type: textOf(event.location?.type),
    location: event.location ?? null,
    join_url: textOf(event.location?.join_url),
    invitees_total: event.invitees_counter?.total ?? null,
    invitees_active: event.invitees_counter?.active ?? null,
    is_deleted: canceled,
    // Older cancellations have no time of their own; the event's last change is the nearest known.
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

/** The row of an invitee as it was read or merged. */
export function inviteeRow(raw: Json): InviteeRow {
  const invitee = usable(parseInvitee(raw));
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

/** True when `next` was changed before `known` was: it must not overwrite it. Equal or unknown times are no reason to refuse. */
export function isOlder(next: Json, known: Json): boolean {
  const [a, b] = [next, known].map(({ updated_at }) =>
    typeof updated_at === 'string' ? canonicalTimestamp(updated_at) : null,
  );
  return a != null && b != null && a < b;
}

/**
 * A newer reading joined with what is known. A key that the newer one lacks keeps its known value: a webhook's event lacks the
 * calendar event and the buffered times of its hosts. The one key whose absence speaks is `cancellation`.
 */
export function mergeRaw(known: Json | null, next: Json): Json {
  if (known === null) return next;
  const merged: Json = { ...known, ...next };
  if (next.status !== undefined && next.status !== 'canceled' && !('cancellation' in next))
    delete merged.cancellation;
  if (Array.isArray(known.event_memberships) && Array.isArray(next.event_memberships)) {
    const before = new Map(known.event_memberships.filter(isJson).map((one) => [one.user, one]));
    merged.event_memberships = next.event_memberships.map((one) =>
      isJson(one) && one.user != null ? { ...before.get(one.user), ...one } : one,
    );
  }
  return merged;
}

/** Equality of JSON values, whatever the order of keys. */
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

/** Equality of all columns that both rows have. */
export function sameRow(row: object, stored: object): boolean {
  return Object.entries(row).every(([key, value]) => sameJson(value, (stored as Json)[key] ?? null));
}

function usable<T extends CalendlyEvent | CalendlyInvitee>(read: { value: T } | null): T {
  if (read === null) throw new TypeError('A resource without a URI cannot become a row.');
  return read.value;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
