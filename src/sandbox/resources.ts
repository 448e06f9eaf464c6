/** The shapes of events and invitees as the sandbox answers them. Types only: what is stored is what is shown. */

/** Who canceled. On events and invitees the key is absent while nothing is canceled. */
export interface Cancellation {
  canceled_by: string;
  reason: string | null;
  canceler_type: 'host' | 'invitee';
  created_at: string;
}

/** A location. `type` is open, and each type has fields of its own. */
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
  event_memberships: {
    user: string;
    user_email?: string;
    user_name?: string;
    buffered_start_time?: string;
    buffered_end_time?: string;
  }[];
  event_guests: { email: string; created_at: string; updated_at: string }[];
  calendar_event?: { kind: string; external_id: string } | null;
  cancellation?: Cancellation;
  [field: string]: unknown;
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
  questions_and_answers: { question: string; answer: string; position: number }[];
  tracking: Record<string, string | null>;
  text_reminder_number: string | null;
  rescheduled: boolean;
  old_invitee: string | null;
  new_invitee: string | null;
  cancel_url: string;
  reschedule_url: string;
  routing_form_submission: string | null;
  payment: { amount: number | string; [field: string]: unknown } | null;
  no_show: { uri: string; created_at: string } | null;
  reconfirmation: { created_at: string; confirmed_at: string | null } | null;
  scheduling_method: string | null;
  invitee_scheduled_by: string | null;
  cancellation?: Cancellation;
  [field: string]: unknown;
}

/** A meeting as the API shows it: the event, and the invitees in the order in which they booked. */
export interface MeetingView {
  event: EventResource;
  invitees: InviteeResource[];
}
