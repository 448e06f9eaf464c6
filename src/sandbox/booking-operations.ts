/**
 * What people do with meetings: book, cancel, reschedule, join, leave, miss. Each change that Calendly sends a webhook
 * for is announced. An operation checks its command before it changes anything. Knows no HTTP.
 */
import { z } from 'zod';
import * as bookings from './bookings.js';
import type { Meeting } from './meetings.js';
import * as base from './operation.js';
import { InvalidCommand, operation, timeNamed, viewOf } from './operation.js';
import { idOf, uriOf } from './organization.js';
import type { InviteeResource } from './resources.js';
import * as resources from './resources.js';
import type { SandboxState } from './state.js';
import { DAY, formatInstant } from './time.js';

const { event } = base.subject;
const invitee = base.invitee.optional();
const { activeOf, announce, cancelInvitees, meetingNamed } = bookings;
const by = z.enum(['host', 'invitee']).default('invitee');
const reason = z.string().nullable().default(null);
/** Whether the event's `updated_at` moves; Calendly does not document when it does. */
const touch = z.boolean().default(false);

export const bookingOperations = {
  book: operation('POST book', 'books a meeting', bookings.bookFields, (state, command) => {
    const { created } = command;
    const at = created === undefined ? state.clock.stamp() : formatInstant(timeNamed(state, created));
    const meeting = state.meetings.add(bookings.newMeeting(state, command, bookings.newId(state), at));
    announce(state, 'invitee.created', meeting, meeting.invitees);
    return viewOf(meeting);
  }),
  cancel: change(
    'POST cancel',
    'cancels a meeting with all its invitees',
    { by, reason },
    (meeting, command, state) => {
      if (meeting.event.status === 'canceled')
        throw new InvalidCommand(`${command.event} is canceled already`);
      const leaving = activeOf(meeting);
      cancelInvitees(state, meeting, leaving, { ...command, touch: true });
      announce(state, 'invitee.canceled', meeting, leaving);
    },
  ),
  reschedule: operation(
    'POST reschedule',
    'moves a meeting, or one invitee of a group, to a new meeting',
    { event, invitee, start: base.time.default('+48h'), by, reason },
    (state, command) => {
      const start = timeNamed(state, command.start);
      const old = meetingNamed(state, command.event);
      const leaving = bookings.inviteesNamed(old, command.invitee);
      const moved = resources.rescheduledEvent(old.event, bookings.newId(state), start, state.clock.stamp());
      const invitees = leaving.map((one) => resources.rescheduleInvitee(one, moved, bookings.newId(state)));
      cancelInvitees(state, old, leaving, { ...command, touch: false });
      announce(state, 'invitee.canceled', old, leaving);
      const meeting = state.meetings.add({ event: moved, invitees });
      resources.recount(meeting);
      announce(state, 'invitee.created', meeting, invitees);
      return { old: viewOf(old), new: viewOf(meeting) };
    },
  ),
  join: change(
    'POST join',
    'adds an invitee to a group event',
    { invitee: bookings.guest.default({}), touch },
    (meeting, command, state) => {
      const invitee = bookings.newInvitee(state, command.invitee, meeting.event.uri, state.clock.stamp());
      meeting.invitees.push(invitee);
      resources.recount(meeting);
      if (command.touch) bookings.touchResource(state, meeting.event);
      announce(state, 'invitee.created', meeting, [invitee]);
    },
  ),
  leave: change(
    'POST leave',
    'cancels one invitee of a group event; the last active one by default',
    { invitee, reason, touch },
    (meeting, command, state) => {
      const leaving = bookings.inviteesNamed(meeting, command.invitee).slice(-1);
      cancelInvitees(state, meeting, leaving, { ...command, by: 'invitee' });
      announce(state, 'invitee.canceled', meeting, leaving);
    },
  ),
  noShow: change(
    'POST no-show',
    'marks an invitee, or all active ones, as no-show; "marked": false removes the mark',
    { invitee, marked: z.boolean().default(true) },
    (meeting, { invitee: who, marked }, state) => {
      const invitees = who === undefined ? activeOf(meeting) : bookings.inviteesNamed(meeting, who);
      for (const one of invitees) {
        const uri = uriOf('invitee_no_shows', bookings.newId(state));
        // It moves no `updated_at`, as recorded from Calendly.
        one.no_show = marked ? { uri, created_at: state.clock.stamp() } : null;
      }
      announce(state, marked ? 'invitee_no_show.created' : 'invitee_no_show.deleted', meeting, invitees);
    },
  ),
  reassign: change(
    'POST reassign',
    'gives a meeting to another host; no webhook reports it',
    { to: base.host, from: base.host.optional() },
    (meeting, { event: name, to, from }, state) => {
      const host = base.hostNamed(state, to);
      const former = from === undefined ? undefined : base.hostNamed(state, from).user.uri;
      const hosts = meeting.event.event_memberships;
      const membership = hosts.find(({ user }) => former === undefined || user === former);
      if (!membership) throw new InvalidCommand(`${from} does not host ${name}`);
      Object.assign(membership, resources.membershipOf(host));
      bookings.touchResource(state, meeting.event);
    },
  ),
  edit: change(
    'POST edit',
    'sets and removes any fields of an event or an invitee; "touch": false keeps updated_at',
    {
      invitee,
      set: z.record(z.string(), z.unknown()).default({}),
      unset: z.array(z.string()).default([]),
      touch: z.boolean().default(true),
    },
    (meeting, command, state) => {
      const { invitee: name } = command;
      const resource = name === undefined ? meeting.event : bookings.inviteeNamed(meeting, name);
      if (command.touch) bookings.touchResource(state, resource);
      Object.assign(resource, structuredClone(command.set));
      for (const field of command.unset) delete resource[field];
    },
  ),
  erase: operation(
    'POST erase',
    'erases a person: "anonymized" empties their data, "removed" takes invitee and counter away',
    { email: z.string(), how: z.enum(['anonymized', 'removed']).default('anonymized') },
    (state, { email, how }) => {
      const isErased = (one: InviteeResource) => one.email.toLowerCase() === email.toLowerCase();
      const concerned = state.meetings.ordered().filter(({ invitees }) => invitees.some(isErased));
      for (const { event: found } of concerned) {
        const meeting = meetingNamed(state, found.uri);
        if (how === 'anonymized') {
          for (const one of meeting.invitees.filter(isErased)) anonymize(one);
        } else {
          meeting.invitees = meeting.invitees.filter((one) => !isErased(one));
          resources.recount(meeting);
          if (meeting.invitees.length === 0) meeting.visibility = 'deleted';
        }
      }
      return { erased: concerned.length };
    },
  ),
  delete: change('POST delete', 'deletes a meeting: it answers 404 and is not listed', {}, (meeting) => {
    meeting.visibility = 'deleted';
  }),
  loseAccess: change(
    'POST lose-access',
    'hides a meeting: it answers 403 and is not listed',
    {},
    (meeting) => {
      meeting.visibility = 'access_lost';
    },
  ),
  restore: change('POST restore', 'undoes delete and lose-access', {}, (meeting) => {
    meeting.visibility = 'visible';
  }),
  importMeetings: operation(
    'POST import-meetings',
    'creates meetings with given ids, as an older integration stored them; no webhook reports them',
    { host: base.host.default(0), meetings: z.array(bookings.importedMeeting) },
    (state, { host, meetings }) => {
      const known = meetings.find(({ id }) => state.meetings.find(idOf(id)));
      if (known) throw new InvalidCommand(`There is an event ${known.id} already`);
      return meetings.map(({ id, status, created, ...facts }) => {
        const aWeekBefore = Math.min(timeNamed(state, facts.start), state.clock.now()) - 7 * DAY;
        const at = formatInstant(created === undefined ? aWeekBefore : timeNamed(state, created));
        const command = { ...facts, host, with: [], guests: [] };
        const meeting = state.meetings.add(bookings.newMeeting(state, command, idOf(id), at));
        if (status === 'canceled') {
          cancelInvitees(state, meeting, meeting.invitees, { by: 'host', reason: null, touch: true });
        }
        return viewOf(meeting);
      });
    },
  ),
  state: operation('GET state', 'all visible meetings with their invitees', {}, ({ meetings }) => {
    const visible = meetings.ordered().filter(({ visibility }) => visibility === 'visible');
    return visible.map(viewOf);
  }),
};

/** An operation that changes one meeting and answers how it is afterwards. */
function change<Fields extends z.ZodRawShape>(
  route: string,
  summary: string,
  fields: Fields,
  alter: (
    meeting: Meeting,
    command: z.output<z.ZodObject<Fields & typeof base.subject>>,
    state: SandboxState,
  ) => void,
) {
  return operation(route, summary, { ...base.subject, ...fields }, (state, command) => {
    const meeting = meetingNamed(state, (command as { event: string }).event);
    alter(meeting, command, state);
    return viewOf(meeting);
  });
}

/** Empties what says who an invitee was. How Calendly shows an erased invitee is not documented. */
function anonymize(invitee: InviteeResource): void {
  const { cancellation } = invitee;
  if (cancellation?.canceler_type === 'invitee') invitee.cancellation = { ...cancellation, canceled_by: '' };
  Object.assign(invitee, { email: '', name: null, first_name: null, last_name: null, timezone: null });
  Object.assign(invitee, { questions_and_answers: [], text_reminder_number: null });
}
