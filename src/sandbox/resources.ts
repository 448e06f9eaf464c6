/** The one factory of events and invitees. What is stored is what the API shows. Pure. */
import { type Host, uriOf } from './organization.js';
import type { Location } from './samples.js';
import { formatInstant, MINUTE, type Micros } from './time.js';

type Status = 'active' | 'canceled';

/** Who canceled. The key is absent while nothing is canceled. */
interface Cancellation {
  canceled_by: string;
  reason: string | null;
  canceler_type: 'host' | 'invitee';
  created_at: string;
}
type Open = { cancellation?: Cancellation; [field: string]: unknown };
export type EventResource = ReturnType<typeof createEvent> & Open;
export type Invitee = ReturnType<typeof createInvitee> & Open;

/** A meeting as the API shows it: the event, and the invitees in the order in which they booked. */
export interface MeetingView {
  event: EventResource;
  invitees: Invitee[];
}

/** What differs from event to event. */
export interface EventFacts {
  id: string;
  name: string | null;
  start: Micros;
  minutes: number;
  hosts: readonly Host[];
  /** URI of the event type. */
  event_type: string | null;
  location: Location | null;
  limit: number;
  /** E-mails. */
  guests: readonly string[];
}

/** An active event without invitees. */
export function createEvent({ id, start, minutes, limit, ...facts }: EventFacts, created_at: string) {
  const { buffered, ...times } = timesOf(start, minutes * MINUTE);
  const stamps = { created_at, updated_at: created_at };
  return {
    uri: uriOf('scheduled_events', id),
    name: facts.name,
    meeting_notes_plain: null,
    meeting_notes_html: null,
    status: 'active' as Status,
    ...times,
    event_type: facts.event_type,
    location: facts.location,
    invitees_counter: { total: 0, active: 0, limit },
    ...stamps,
    event_memberships: facts.hosts.map((host): Membership => ({ ...membershipOf(host), ...buffered })),
    event_guests: facts.guests.map((email) => ({ email, ...stamps })),
    calendar_event: { kind: 'google', external_id: id.replaceAll('-', '').toLowerCase() },
  };
}

/** The times of an event, and those with the buffers of its hosts. */
export function timesOf(start: Micros, length: Micros) {
  const [start_time, end_time] = [formatInstant(start), formatInstant(start + length)];
  const buffered_start_time = formatInstant(start - 15 * MINUTE);
  const buffered_end_time = formatInstant(start + length + 15 * MINUTE);
  return { start_time, end_time, buffered: { buffered_start_time, buffered_end_time } };
}

type Membership = { user: string } & Partial<ReturnType<typeof membershipOf>>;

export const membershipOf = ({ user }: Host) => ({
  user: user.uri,
  user_email: user.email,
  user_name: user.name,
});

export function isHostedBy({ event_memberships }: EventResource, uri: string): boolean {
  return event_memberships.some(({ user }) => user === uri);
}

const TEXT = null as string | null;
const UTM = { utm_campaign: TEXT, utm_source: TEXT, utm_medium: TEXT, utm_content: TEXT, utm_term: TEXT };
const NO_TRACKING: Record<string, string | null> = { ...UTM, salesforce_uuid: null };
/** What an invitee says, and what may happen later. */
const NOTHING_SAID = {
  email: '',
  name: TEXT,
  first_name: TEXT,
  last_name: TEXT,
  timezone: TEXT,
  questions_and_answers: [] as readonly { question: string; answer: string; position: number }[],
  text_reminder_number: TEXT,
  rescheduled: false,
  old_invitee: TEXT,
  new_invitee: TEXT,
  routing_form_submission: TEXT,
  payment: null as { amount: number | string; [field: string]: unknown } | null,
  no_show: null as { uri: string; created_at: string } | null,
  reconfirmation: null as { created_at: string; confirmed_at: string | null } | null,
  scheduling_method: TEXT,
  invitee_scheduled_by: TEXT,
};

/** What is known of somebody who books. */
export type Guest = Partial<typeof NOTHING_SAID> & { tracking?: Record<string, string | null> };

/** An active invitee. @param event URI of the event */
export function createInvitee(id: string, event: string, created_at: string, guest: Guest) {
  const status: Status = 'active';
  const times = { created_at, updated_at: created_at };
  const tracking = { ...NO_TRACKING, ...guest.tracking };
  const cancel_url = `https://calendly.com/cancellations/${id}`;
  const reschedule_url = `https://calendly.com/reschedulings/${id}`;
  const own = {
    uri: inviteeUri(event, id),
    status: status as Status,
    event,
    ...times,
    cancel_url,
    reschedule_url,
  };
  return { ...NOTHING_SAID, ...guest, ...own, tracking, rescheduled: false };
}

export const inviteeUri = (event: string, id: string) => `${event}/invitees/${id}`;
