/** Events and invitees as the API shows them: new ones, moved ones, canceled ones. What is stored is what is shown. */
import { type Host, uriOf } from './organization.js';
import type { Location } from './samples.js';
import { formatInstant, instantOf, MINUTE, type Micros } from './time.js';

type Status = 'active' | 'canceled';

/** Who canceled. The key is absent while nothing is canceled. */
export interface Cancellation {
  canceled_by: string;
  reason: string | null;
  canceler_type: 'host' | 'invitee';
  created_at: string;
}

interface Membership {
  user: string;
  user_email?: string;
  user_name?: string;
  buffered_start_time?: string;
  buffered_end_time?: string;
}

type Open = { cancellation?: Cancellation; [field: string]: unknown };
export type EventResource = ReturnType<typeof createEvent> & Open;
export type InviteeResource = Invitee & Open;

/** A meeting as the API shows it: the event, and the invitees in the order in which they booked. */
export interface MeetingView {
  event: EventResource;
  invitees: InviteeResource[];
}

/** What differs from event to event. */
interface EventFacts {
  id: string;
  name: string | null;
  start: Micros;
  minutes: number;
  created_at: string;
  hosts: readonly Host[];
  /** URI of the event type. */
  event_type: string | null;
  location: Location | null;
  limit: number;
  guests: readonly string[];
  bufferMinutes?: number;
  calendar?: string;
}

/** An active event without invitees. */
export function createEvent({ id, start, created_at, bufferMinutes = 0, ...facts }: EventFacts) {
  const end = start + facts.minutes * MINUTE;
  const times = { created_at, updated_at: created_at };
  return {
    uri: uriOf('scheduled_events', id),
    name: facts.name,
    meeting_notes_plain: null,
    meeting_notes_html: null,
    status: 'active' as Status,
    start_time: formatInstant(start),
    end_time: formatInstant(end),
    event_type: facts.event_type,
    location: facts.location,
    invitees_counter: { total: 0, active: 0, limit: facts.limit },
    ...times,
    event_memberships: facts.hosts.map((host): Membership => {
      const buffered_start_time = formatInstant(start - bufferMinutes * MINUTE);
      const buffered_end_time = formatInstant(end + bufferMinutes * MINUTE);
      return { ...membershipOf(host), buffered_start_time, buffered_end_time };
    }),
    event_guests: facts.guests.map((email) => ({ email, ...times })),
    calendar_event: { kind: facts.calendar ?? 'google', external_id: id.replaceAll('-', '').toLowerCase() },
  };
}

export function membershipOf({ user }: Host) {
  return { user: user.uri, user_email: user.email, user_name: user.name };
}

export function isHostedBy({ event_memberships }: EventResource, uri: string): boolean {
  return event_memberships.some(({ user }) => user === uri);
}

const TEXT = null as string | null;
const UTM = { utm_campaign: TEXT, utm_source: TEXT, utm_medium: TEXT, utm_content: TEXT, utm_term: TEXT };
const NO_TRACKING: Record<string, string | null> = { ...UTM, salesforce_uuid: null };

function emptyInvitee(id: string, event: string, created_at: string) {
  return {
    uri: inviteeUri(event, id),
    email: '',
    name: TEXT,
    first_name: TEXT,
    last_name: TEXT,
    status: 'active' as Status,
    timezone: TEXT,
    event,
    created_at,
    updated_at: created_at,
    questions_and_answers: [] as { question: string; answer: string; position: number }[],
    tracking: NO_TRACKING,
    text_reminder_number: TEXT,
    rescheduled: false,
    old_invitee: TEXT,
    new_invitee: TEXT,
    cancel_url: `https://calendly.com/cancellations/${id}`,
    reschedule_url: `https://calendly.com/reschedulings/${id}`,
    routing_form_submission: TEXT,
    payment: null as { amount: number | string; [field: string]: unknown } | null,
    no_show: null as { uri: string; created_at: string } | null,
    reconfirmation: null as { created_at: string; confirmed_at: string | null } | null,
    scheduling_method: TEXT,
    invitee_scheduled_by: TEXT,
  };
}

type Invitee = ReturnType<typeof emptyInvitee>;

/** An invitee without history. @param event URI of the event @param fields replace the defaults */
export function createInvitee(
  id: string,
  event: string,
  created_at: string,
  fields: Partial<Invitee>,
): Invitee {
  const tracking = { ...NO_TRACKING, ...fields.tracking };
  return Object.assign(emptyInvitee(id, event, created_at), fields, { tracking });
}

export const inviteeUri = (event: string, id: string) => `${event}/invitees/${id}`;

/** The event that a rescheduled one leads to: the same except for its id, its time and its history. */
export function rescheduledEvent(before: EventResource, id: string, start: Micros, created_at: string) {
  const { cancellation: _none, ...event } = structuredClone(before);
  const distance = start - instantOf(before.start_time);
  const moved = (text: string) => formatInstant(instantOf(text) + distance);
  for (const host of event.event_memberships) {
    if (host.buffered_start_time) host.buffered_start_time = moved(host.buffered_start_time);
    if (host.buffered_end_time) host.buffered_end_time = moved(host.buffered_end_time);
  }
  const uri = uriOf('scheduled_events', id);
  const times = { start_time: formatInstant(start), end_time: moved(before.end_time), created_at };
  return { ...event, uri, status: 'active' as Status, ...times, updated_at: created_at };
}

/** The invitee that a canceled one becomes in another event; links the two. */
export function rescheduleInvitee(before: InviteeResource, event: EventResource, id: string) {
  const { cancellation: _none, status: _canceled, ...kept } = structuredClone(before);
  const fresh = emptyInvitee(id, event.uri, event.created_at);
  const { uri, cancel_url, reschedule_url, created_at, updated_at, status } = fresh;
  const own = { uri, event: event.uri, cancel_url, reschedule_url, created_at, updated_at, status };
  Object.assign(before, { rescheduled: true, new_invitee: uri });
  return { ...kept, ...own, rescheduled: false, old_invitee: before.uri, new_invitee: null, no_show: null };
}

export function cancelInvitee(invitee: InviteeResource, cancellation: Cancellation): void {
  Object.assign(invitee, { status: 'canceled', cancellation, updated_at: cancellation.created_at });
}

/** Updates the event's counter to its invitees. */
export function recount({ event, invitees }: MeetingView): void {
  const active = invitees.filter(({ status }) => status === 'active').length;
  event.invitees_counter = { ...event.invitees_counter, total: invitees.length, active };
}
