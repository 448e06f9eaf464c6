/**
 * What people do with meetings: book, join, cancel, reschedule, miss. Each is announced to the webhooks. Nothing is
 * checked here. Knows no HTTP.
 */
import type { Meeting } from './meetings.js';
import { uriOf } from './organization.js';
import { uuidBy } from './random.js';
import * as resources from './resources.js';
import { personBy } from './samples.js';
import type { State } from './state.js';
import { formatInstant, instantOf, type Micros, SECOND } from './time.js';
import type { WebhookEvent } from './webhooks.js';

type Invitees = readonly resources.Invitee[];

export const activeOf = ({ invitees }: resources.MeetingView) =>
  invitees.filter(({ status }) => status === 'active');

/** Books a meeting. What a guest does not say is made up. */
export function book(state: State, facts: resources.EventFacts, guests: readonly resources.Guest[]): Meeting {
  const event: resources.EventResource = resources.createEvent(facts, state.clock.stamp());
  const { uri, created_at } = event;
  return addMeeting(state, {
    event,
    invitees: guests.map((guest) => newInvitee(state, uri, created_at, guest)),
  });
}

/** Adds an invitee to a group event. @param touches moves the event's `updated_at` */
export function join(state: State, meeting: Meeting, guest: resources.Guest, touches: boolean): void {
  const invitee = newInvitee(state, meeting.event.uri, state.clock.stamp(), guest);
  meeting.invitees.push(invitee);
  recount(meeting);
  if (touches) touch(state, meeting.event);
  announce(state, 'invitee.created', meeting, [invitee]);
}

/** Who cancels and why. @param touch moves `updated_at` of an event that goes on without those who leave */
interface Canceling {
  by: 'host' | 'invitee';
  reason: string | null;
  touch?: boolean;
}

/** Cancels some invitees, and the event when nobody is left. */
export function cancel(
  state: State,
  meeting: Meeting,
  leaving: Invitees,
  { by, reason, touch: touches }: Canceling,
) {
  const { event } = meeting;
  const name = by === 'host' ? event.event_memberships[0]?.user_name : leaving[0]?.name;
  const canceled_by = name ?? 'Somebody';
  const cancellation = { canceled_by, reason, canceler_type: by, created_at: state.clock.stamp() };
  for (const invitee of leaving) touch(state, Object.assign(invitee, { status: 'canceled', cancellation }));
  recount(meeting);
  const isOver = event.invitees_counter.active === 0;
  if (isOver) Object.assign(event, { status: 'canceled', cancellation });
  if (isOver || touches) touch(state, event);
  announce(state, 'invitee.canceled', meeting, leaving);
}

/** Moves some invitees to a new meeting, and links the old and the new ones. */
export function reschedule(
  state: State,
  old: Meeting,
  leaving: Invitees,
  start: Micros,
  how: Canceling,
): Meeting {
  const before = structuredClone(old.event);
  const uri = uriOf('scheduled_events', uuidBy(state.random));
  const moved = leaving.map((invitee) => {
    const guest = { ...structuredClone(invitee), old_invitee: invitee.uri, no_show: null };
    const id = uuidBy(state.random);
    Object.assign(invitee, { rescheduled: true, new_invitee: resources.inviteeUri(uri, id) });
    return { id, guest };
  });
  cancel(state, old, leaving, how);
  const created_at = state.clock.stamp();
  const { buffered, ...times } = resources.timesOf(
    start,
    instantOf(before.end_time) - instantOf(before.start_time),
  );
  const event_memberships = before.event_memberships.map((host) => ({ ...host, ...buffered }));
  const event = { ...before, uri, ...times, event_memberships, created_at, updated_at: created_at };
  const invitees = moved.map(({ id, guest }) => resources.createInvitee(id, uri, created_at, guest));
  return addMeeting(state, { event, invitees });
}

/** Marks invitees as no-shows, or removes the marks. It moves no `updated_at`, as recorded from Calendly. */
export function markNoShows(state: State, meeting: Meeting, invitees: Invitees, isMarked: boolean): void {
  for (const invitee of invitees) {
    const uri = uriOf('invitee_no_shows', uuidBy(state.random));
    invitee.no_show = isMarked ? { uri, created_at: state.clock.stamp() } : null;
  }
  announce(state, isMarked ? 'invitee_no_show.created' : 'invitee_no_show.deleted', meeting, invitees);
}

/** Moves `updated_at`, unless the sandbox's timestamps are to misbehave. */
export function touch({ settings, clock }: State, resource: { updated_at: string }): void {
  const before = instantOf(resource.updated_at);
  if (settings.updated_at === 'normal') resource.updated_at = clock.stamp();
  if (settings.updated_at === 'backwards') resource.updated_at = formatInstant(before - SECOND);
}

function addMeeting(state: State, view: resources.MeetingView): Meeting {
  const meeting = state.meetings.add(view);
  recount(meeting);
  announce(state, 'invitee.created', meeting, view.invitees);
  return meeting;
}

function newInvitee(
  { random }: State,
  event: string,
  created_at: string,
  guest: resources.Guest,
): resources.Invitee {
  const madeUp = personBy(random);
  // With a given name, a made-up first or last name would contradict it.
  const names = guest.name === undefined ? {} : { first_name: null, last_name: null };
  return resources.createInvitee(uuidBy(random), event, created_at, { ...madeUp, ...names, ...guest });
}

/** Updates the event's counter to its invitees. */
function recount(meeting: Meeting): void {
  const { invitees_counter } = meeting.event;
  Object.assign(invitees_counter, { total: meeting.invitees.length, active: activeOf(meeting).length });
}

function announce({ webhooks }: State, kind: WebhookEvent, { event }: Meeting, invitees: Invitees): void {
  for (const invitee of invitees) webhooks.announce(kind, event, invitee);
}
