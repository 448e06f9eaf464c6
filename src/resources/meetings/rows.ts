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

export type Json = Record<string, unknown>;

/** The synced columns of `meetings`. Timestamps are canonical text, UTC. */
export interface MeetingRow {
  external_id: string;
  calendly_uri: string;
  title: string | null;
  status: string | null;
  start_time: string | null;
  end_time: string | null;
  event_type_uri: string | null;
  location_type: string | null;
  location: Json | null;
  join_url: string | null;
  invitees_total: number | null;
  invitees_active: number | null;
  is_deleted: boolean;
  deleted_at: string | null;
  deleted_reason: string | null;
  canceled_by: string | null;
  cancel_reason: string | null;
  canceled_at: string | null;
  calendly_created_at: string | null;
  calendly_updated_at: string | null;
  raw: Json;
}

/** The synced columns of `meeting_invitees`. */
export interface InviteeRow {
  calendly_uri: string;
  email: string | null;
  name: string | null;
  first_name: string | null;
  last_name: string | null;
  status: string | null;
  timezone: string | null;
  rescheduled: boolean | null;
  old_invitee_uri: string | null;
  new_invitee_uri: string | null;
  no_show_at: string | null;
  canceled_by: string | null;
  cancel_reason: string | null;
  canceled_at: string | null;
  questions_and_answers: unknown[] | null;
  tracking: Json | null;
  payment: Json | null;
  calendly_created_at: string | null;
  calendly_updated_at: string | null;
  raw: Json;
}

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

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
