/** Creates events and invitees, new ones and those that a reschedule leads to. Pure; knows no store. */
import { uriOf } from './ids.js';
import type { Host } from './people.js';
import type { Cancellation, EventResource, InviteeResource, LocationResource } from './resources.js';
import { formatInstant, MINUTE, type Micros, parseInstant } from './time.js';

/** What differs from event to event. */
export interface EventFacts {
  id: string;
  name: string | null;
  start: Micros;
  minutes: number;
  created: Micros;
  hosts: readonly Host[];
  /** URI of the event type. */
  eventType: string | null;
  location: LocationResource | null;
  limit: number;
  guests?: readonly string[];
  bufferMinutes?: number;
  calendar?: string;
}

/** An active event without invitees. */
export function createEvent(facts: EventFacts): EventResource {
  const { id, start, bufferMinutes = 0 } = facts;
  const end = start + facts.minutes * MINUTE;
  const created = formatInstant(facts.created);
  return {
    uri: uriOf('scheduled_events', id),
    name: facts.name,
    meeting_notes_plain: null,
    meeting_notes_html: null,
    status: 'active',
    start_time: formatInstant(start),
    end_time: formatInstant(end),
    event_type: facts.eventType,
    location: facts.location,
    invitees_counter: { total: 0, active: 0, limit: facts.limit },
    created_at: created,
    updated_at: created,
    event_memberships: facts.hosts.map((host) => ({
      ...membershipOf(host),
      buffered_start_time: formatInstant(start - bufferMinutes * MINUTE),
      buffered_end_time: formatInstant(end + bufferMinutes * MINUTE),
    })),
    event_guests: (facts.guests ?? []).map((email) => ({ email, created_at: created, updated_at: created })),
    calendar_event: { kind: facts.calendar ?? 'google', external_id: id.replaceAll('-', '').toLowerCase() },
  };
}

/** The host as an event's membership names them. */
export function membershipOf({ user }: Host) {
  return { user: user.uri, user_email: user.email, user_name: user.name };
}

/** An active invitee without history. @param fields replace the defaults */
export function createInvitee(
  id: string,
  event: string,
  created: Micros,
  fields: Partial<InviteeResource> & Pick<InviteeResource, 'email'>,
): InviteeResource {
  const created_at = formatInstant(created);
  const invitee: InviteeResource = {
    uri: inviteeUri(event, id),
    event,
    cancel_url: `https://calendly.com/cancellations/${id}`,
    reschedule_url: `https://calendly.com/reschedulings/${id}`,
    email: fields.email,
    name: null,
    first_name: null,
    last_name: null,
    status: 'active',
    timezone: null,
    created_at,
    updated_at: created_at,
    questions_and_answers: [],
    tracking: NO_TRACKING,
    text_reminder_number: null,
    rescheduled: false,
    old_invitee: null,
    new_invitee: null,
    routing_form_submission: null,
    payment: null,
    no_show: null,
    reconfirmation: null,
    scheduling_method: null,
    invitee_scheduled_by: null,
  };
  return Object.assign(invitee, fields, { tracking: { ...NO_TRACKING, ...fields.tracking } });
}

const NO_TRACKING = {
  utm_campaign: null,
  utm_source: null,
  utm_medium: null,
  utm_content: null,
  utm_term: null,
  salesforce_uuid: null,
};

/** The URI of an invitee of an event. */
export function inviteeUri(event: string, id: string): string {
  return `${event}/invitees/${id}`;
}

/** The event that a rescheduled one leads to: the same except for its id, its time and its history. */
export function rescheduledEvent(
  before: EventResource,
  id: string,
  start: Micros,
  created: Micros,
): EventResource {
  const { cancellation: _none, ...event } = structuredClone(before);
  const shift = start - (parseInstant(before.start_time) ?? start);
  const shifted = (text: string) => formatInstant((parseInstant(text) ?? 0) + shift);
  const created_at = formatInstant(created);
  return {
    ...event,
    uri: uriOf('scheduled_events', id),
    status: 'active',
    start_time: formatInstant(start),
    end_time: shifted(event.end_time),
    created_at,
    updated_at: created_at,
    event_memberships: event.event_memberships.map((host) => ({
      ...host,
      ...(host.buffered_start_time ? { buffered_start_time: shifted(host.buffered_start_time) } : {}),
      ...(host.buffered_end_time ? { buffered_end_time: shifted(host.buffered_end_time) } : {}),
    })),
  };
}

/** The invitee that a canceled one becomes in another event; links the two. */
export function rescheduleInvitee(
  before: InviteeResource,
  event: EventResource,
  id: string,
): InviteeResource {
  const { cancellation: _none, ...kept } = structuredClone(before);
  const { uri, cancel_url, reschedule_url } = createInvitee(id, event.uri, 0, { email: before.email });
  Object.assign(before, { rescheduled: true, new_invitee: uri });
  return {
    ...kept,
    uri,
    event: event.uri,
    status: 'active',
    created_at: event.created_at,
    updated_at: event.created_at,
    rescheduled: false,
    old_invitee: before.uri,
    new_invitee: null,
    cancel_url,
    reschedule_url,
    no_show: null,
  };
}

export function cancelInvitee(invitee: InviteeResource, cancellation: Cancellation): void {
  Object.assign(invitee, { status: 'canceled', cancellation, updated_at: cancellation.created_at });
}

/** Brings the event's counter in line with its invitees. */
export function recount(event: EventResource, invitees: readonly InviteeResource[]): void {
  event.invitees_counter = {
    ...event.invitees_counter,
    total: invitees.length,
    active: invitees.filter(({ status }) => status === 'active').length,
  };
}
