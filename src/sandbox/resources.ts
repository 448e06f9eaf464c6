/**
 * The shapes of Calendly's resources as the sandbox answers them. Types only: what is stored is what is shown.
 * Every resource may hold fields beside the named ones, as in life.
 */

/** A user as `/users/me` and a membership show it. */
export interface UserResource {
  uri: string;
  name: string;
  slug: string;
  email: string;
  scheduling_url: string;
  timezone: string;
  avatar_url: string | null;
  created_at: string;
  updated_at: string;
  current_organization: string;
}

/** One row of `event_memberships`: a host of the event. */
interface EventMembership {
  user: string;
  user_email?: string;
  user_name?: string;
  buffered_start_time?: string;
  buffered_end_time?: string;
}

/** Who canceled; on events and invitees the key is absent while nothing is canceled. */
export interface Cancellation {
  canceled_by: string;
  reason: string | null;
  canceler_type: 'host' | 'invitee';
  created_at: string;
}

/** A place; `type` is open, and each type has fields of its own. */
export interface LocationResource {
  type: string;
  [field: string]: unknown;
}

export interface EventResource {
  uri: string;
  name: string | null;
  meeting_notes_plain: string | null;
  meeting_notes_html: string | null;
  status: 'active' | 'canceled';
  start_time: string;
  end_time: string;
  event_type: string | null;
  location: LocationResource | null;
  invitees_counter: { total: number; active: number; limit: number };
  created_at: string;
  updated_at: string;
  event_memberships: EventMembership[];
  event_guests: { email: string; created_at: string; updated_at: string }[];
  calendar_event?: { kind: string; external_id: string } | null;
  cancellation?: Cancellation;
  [field: string]: unknown;
}

export interface Answer {
  question: string;
  answer: string;
  position: number;
}

export interface Payment {
  external_id: string;
  provider: string;
  amount: number | string;
  currency: string;
  terms: string | null;
  successful: boolean;
}

/** Marketing parameters of the booking link; all are present, each may be null. */
export interface Tracking {
  utm_campaign: string | null;
  utm_source: string | null;
  utm_medium: string | null;
  utm_content: string | null;
  utm_term: string | null;
  salesforce_uuid: string | null;
}

export interface InviteeResource {
  uri: string;
  email: string;
  name: string | null;
  first_name: string | null;
  last_name: string | null;
  status: 'active' | 'canceled';
  timezone: string | null;
  event: string;
  created_at: string;
  updated_at: string;
  questions_and_answers: Answer[];
  tracking: Tracking;
  text_reminder_number: string | null;
  rescheduled: boolean;
  old_invitee: string | null;
  new_invitee: string | null;
  cancel_url: string;
  reschedule_url: string;
  routing_form_submission: string | null;
  payment: Payment | null;
  no_show: { uri: string; created_at: string } | null;
  reconfirmation: { created_at: string; confirmed_at: string | null } | null;
  scheduling_method: string | null;
  invitee_scheduled_by: string | null;
  cancellation?: Cancellation;
  [field: string]: unknown;
}

export interface EventTypeResource {
  uri: string;
  name: string;
  active: boolean;
  slug: string;
  scheduling_url: string;
  duration: number;
  kind: 'solo' | 'group';
  pooling_type: null;
  type: 'StandardEventType';
  color: string;
  created_at: string;
  updated_at: string;
  internal_note: null;
  description_plain: string | null;
  description_html: string | null;
  profile: { type: 'User'; name: string; owner: string };
  secret: boolean;
  booking_method: 'instant';
  custom_questions: never[];
  deleted_at: null;
}

/** One page of a listing. */
export interface Collection<Row> {
  collection: Row[];
  pagination: {
    count: number;
    next_page: string | null;
    previous_page: string | null;
    next_page_token: string | null;
    previous_page_token: string | null;
  };
}
