/** Makes an invitee as the API shows it from the few facts that differ. Pure. */
import { uriOf } from './identifiers.js';
import { formatInstant, type Micros } from './microseconds.js';
import type { Answer, InviteeResource, Payment, Tracking } from './resources.js';

/** What must be said of an invitee; the rest has a usual value. */
export interface InviteeDraft {
  id: string;
  /** URI of the event. */
  event: string;
  email: string;
  name: string | null;
  first?: string | null;
  last?: string | null;
  timezone: string | null;
  createdAt: Micros;
  answers?: Answer[];
  tracking?: Partial<Tracking>;
  payment?: Payment | null;
}

/** The URI of an invitee of an event. */
export function inviteeUri(event: string, id: string): string {
  return `${event}/invitees/${id}`;
}

/** An active invitee without history. */
export function createInvitee(draft: InviteeDraft): InviteeResource {
  const created = formatInstant(draft.createdAt);
  return {
    uri: inviteeUri(draft.event, draft.id),
    email: draft.email,
    name: draft.name,
    first_name: draft.first ?? null,
    last_name: draft.last ?? null,
    status: 'active',
    timezone: draft.timezone,
    event: draft.event,
    created_at: created,
    updated_at: created,
    questions_and_answers: draft.answers ?? [],
    tracking: {
      utm_campaign: null,
      utm_source: null,
      utm_medium: null,
      utm_content: null,
      utm_term: null,
      salesforce_uuid: null,
      ...draft.tracking,
    },
    text_reminder_number: null,
    rescheduled: false,
    old_invitee: null,
    new_invitee: null,
    cancel_url: `https://calendly.com/cancellations/${draft.id}`,
    reschedule_url: `https://calendly.com/reschedulings/${draft.id}`,
    routing_form_submission: null,
    payment: draft.payment ?? null,
    no_show: null,
    reconfirmation: null,
    scheduling_method: null,
    invitee_scheduled_by: null,
  };
}

/** The mark of an invitee who did not come. It moves no `updated_at`, as in life. */
export function noShowMark(id: string, at: Micros): { uri: string; created_at: string } {
  return { uri: uriOf('invitee_no_shows', id), created_at: formatInstant(at) };
}
