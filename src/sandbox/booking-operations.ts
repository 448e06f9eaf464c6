/**
 * What people do with meetings: book, cancel, reschedule, join, leave, miss. Each change that Calendly sends a webhook
 * for is announced. Knows no HTTP.
 */
import { z } from 'zod';
import {
  activeOf,
  announce,
  anonymize,
  bookSchema,
  cancellationOf,
  change,
  guest,
  guests,
  inviteeNamed,
  minutes,
  newId,
  newInvitee,
  newMeeting,
  touchResource,
  withdraw,
} from './bookings.js';
import * as factory from './factory.js';
import { idOf, uriOf } from './ids.js';
import type { Meeting } from './meetings.js';
import * as base from './operation.js';
import { InvalidCommand, operation, timeNamed, viewOf } from './operation.js';
import type { InviteeResource, MeetingView } from './resources.js';
import type { SandboxState } from './state.js';
import { DAY, formatInstant } from './time.js';

const by = z.enum(['host', 'invitee']).default('invitee');
const reason = z.string().nullable().default(null);
/** Whether the event's `updated_at` moves; Calendly does not document when it does. */
const touch = z.boolean().default(false);
const { event, invitee } = base;

const importedSchema = z.strictObject({
  id: z.string().min(1),
  start: base.time,
  minutes,
  name: z.string().nullable().optional(),
  invitees: guests.default(1),
  status: z.enum(['active', 'canceled']).default('active'),
  created: base.time.optional(),
});

export const bookingOperations = {
  book: operation({
    summary: 'books a meeting',
    schema: bookSchema,
    run(state, command) {
      const { created } = command;
      const at = created === undefined ? state.clock.stamp() : timeNamed(state, created);
      const meeting = state.meetings.add(newMeeting(state, command, newId(state), at));
      announce(state, 'invitee.created', meeting, meeting.invitees);
      return viewOf(meeting);
    },
  }),
  cancel: operation({
    summary: 'cancels a meeting with all its invitees',
    schema: z.strictObject({ event, by, reason }),
    run(state, { event: name, by: who, reason: why }) {
      let leaving: InviteeResource[] = [];
      const meeting = change(state, name, (changed) => {
        if (changed.event.status === 'canceled') throw new InvalidCommand(`${name} is canceled already`);
        leaving = activeOf(changed);
        withdraw(state, changed, leaving, cancellationOf(state, changed, who, why, leaving[0]), true);
      });
      announce(state, 'invitee.canceled', meeting, leaving);
      return viewOf(meeting);
    },
  }),
  reschedule: operation({
    summary: 'moves a meeting, or one invitee of a group, to a new meeting',
    schema: z.strictObject({
      event,
      invitee: invitee.optional(),
      start: base.time.default('+48h'),
      by,
      reason,
    }),
    run(state, command) {
      const start = timeNamed(state, command.start);
      let leaving: InviteeResource[] = [];
      let moved: MeetingView | undefined;
      const old = change(state, command.event, (meeting) => {
        leaving = chosenOf(meeting, command.invitee);
        const cancellation = cancellationOf(state, meeting, command.by, command.reason, leaving[0]);
        withdraw(state, meeting, leaving, cancellation, false);
        const next = factory.rescheduledEvent(meeting.event, newId(state), start, state.clock.stamp());
        const invitees = leaving.map((one) => factory.rescheduleInvitee(one, next, newId(state)));
        factory.recount(next, invitees);
        moved = { event: next, invitees };
      });
      const next = state.meetings.add(moved ?? old);
      announce(state, 'invitee.canceled', old, leaving);
      announce(state, 'invitee.created', next, next.invitees);
      return { old: viewOf(old), new: viewOf(next) };
    },
  }),
  join: operation({
    summary: 'adds an invitee to a group event',
    schema: z.strictObject({ event, invitee: guest.default({}), touch }),
    run(state, command) {
      const meeting = change(state, command.event, (changed) => {
        const at = state.clock.stamp();
        changed.invitees.push(newInvitee(state, command.invitee, changed.event.uri, at));
        factory.recount(changed.event, changed.invitees);
        if (command.touch) touchResource(state, changed.event);
      });
      announce(state, 'invitee.created', meeting, meeting.invitees.slice(-1));
      return viewOf(meeting);
    },
  }),
  leave: operation({
    summary: 'cancels one invitee of a group event; the last active one by default',
    schema: z.strictObject({ event, invitee: invitee.optional(), reason, touch }),
    run(state, command) {
      let leaving: InviteeResource[] = [];
      const meeting = change(state, command.event, (changed) => {
        leaving = chosenOf(changed, command.invitee).slice(-1);
        const cancellation = cancellationOf(state, changed, 'invitee', command.reason, leaving[0]);
        withdraw(state, changed, leaving, cancellation, command.touch);
      });
      announce(state, 'invitee.canceled', meeting, leaving);
      return viewOf(meeting);
    },
  }),
  noShow: operation({
    summary: 'marks an invitee, or all active ones, as no-show; "marked": false removes the mark',
    schema: z.strictObject({ event, invitee: invitee.optional(), marked: z.boolean().default(true) }),
    run(state, { event: name, invitee: who, marked }) {
      let concerned: InviteeResource[] = [];
      const meeting = change(state, name, (changed) => {
        concerned = who === undefined ? activeOf(changed) : chosenOf(changed, who);
        for (const one of concerned) {
          const uri = uriOf('invitee_no_shows', newId(state));
          // It moves no `updated_at`, as recorded from Calendly.
          one.no_show = marked ? { uri, created_at: formatInstant(state.clock.stamp()) } : null;
        }
      });
      announce(state, marked ? 'invitee_no_show.created' : 'invitee_no_show.deleted', meeting, concerned);
      return viewOf(meeting);
    },
  }),
  reassign: operation({
    summary: 'gives a meeting to another host; no webhook reports it',
    schema: z.strictObject({ event, to: base.host, from: base.host.optional() }),
    run(state, { event: name, to, from }) {
      const host = base.hostNamed(state, to);
      const former = from === undefined ? undefined : base.hostNamed(state, from).user.uri;
      return viewOf(
        change(state, name, ({ event: changed }) => {
          const hosts = changed.event_memberships;
          const place = former === undefined ? 0 : hosts.findIndex(({ user }) => user === former);
          if (!hosts[place]) throw new InvalidCommand(`${from} does not host ${name}`);
          hosts[place] = { ...hosts[place], ...factory.membershipOf(host) };
          touchResource(state, changed);
        }),
      );
    },
  }),
  edit: operation({
    summary: 'sets and removes any fields of an event or an invitee; "touch": false keeps updated_at',
    schema: z.strictObject({
      event,
      /** Changes this invitee instead of the event. */
      invitee: invitee.optional(),
      set: z.record(z.string(), z.unknown()).default({}),
      unset: z.array(z.string()).default([]),
      touch: z.boolean().default(true),
    }),
    run(state, command) {
      const meeting = change(state, command.event, (changed) => {
        const { invitee: name } = command;
        const resource = name === undefined ? changed.event : inviteeNamed(changed, name);
        if (command.touch) touchResource(state, resource);
        Object.assign(resource, structuredClone(command.set));
        for (const field of command.unset) delete resource[field];
      });
      return viewOf(meeting);
    },
  }),
  erase: operation({
    summary: 'erases a person: "anonymized" empties their data, "removed" takes invitee and counter away',
    schema: z.strictObject({
      email: z.string(),
      how: z.enum(['anonymized', 'removed']).default('anonymized'),
    }),
    run(state, { email, how }) {
      const isErased = (one: InviteeResource) => one.email.toLowerCase() === email.toLowerCase();
      const concerned = state.meetings.ordered().filter(({ invitees }) => invitees.some(isErased));
      for (const meeting of concerned) {
        change(state, meeting.event.uri, (changed) => {
          const { event: resource, invitees } = changed;
          if (how === 'anonymized') return anonymize(changed, isErased);
          changed.invitees = invitees.filter((one) => !isErased(one));
          factory.recount(resource, changed.invitees);
          if (changed.invitees.length === 0) changed.visibility = 'deleted';
        });
      }
      return { erased: concerned.length };
    },
  }),
  delete: operation({
    summary: 'deletes a meeting: it answers 404 and is not listed',
    schema: z.strictObject({ event }),
    run: (state, command) => setVisibility(state, command.event, 'deleted'),
  }),
  loseAccess: operation({
    summary: 'hides a meeting: it answers 403 and is not listed',
    schema: z.strictObject({ event }),
    run: (state, command) => setVisibility(state, command.event, 'access_lost'),
  }),
  restore: operation({
    summary: 'undoes delete and lose-access',
    schema: z.strictObject({ event }),
    run: (state, command) => setVisibility(state, command.event, 'visible'),
  }),
  importMeetings: operation({
    summary: 'creates meetings with given ids, as an older integration stored them; no webhook reports them',
    schema: z.strictObject({ host: base.host.default(0), meetings: z.array(importedSchema) }),
    key: 'meetings',
    run(state, { host, meetings }) {
      const known = meetings.find(({ id }) => state.meetings.find(idOf(id)));
      if (known) throw new InvalidCommand(`There is an event ${known.id} already`);
      return meetings.map(({ id, status, created, ...row }) => {
        const start = timeNamed(state, row.start);
        const at =
          created === undefined ? Math.min(start, state.clock.now()) - 7 * DAY : timeNamed(state, created);
        const command = bookSchema.parse({ ...row, host, created: formatInstant(at) });
        const meeting = newMeeting(state, command, idOf(id), at);
        if (status === 'canceled') {
          const cancellation = cancellationOf(state, meeting, 'host', null);
          withdraw(state, meeting, meeting.invitees, cancellation, true);
        }
        return viewOf(state.meetings.add(meeting));
      });
    },
  }),
  state: operation({
    summary: 'all visible meetings with their invitees',
    schema: base.nothing,
    route: 'GET state',
    key: 'meetings',
    run: ({ meetings }) =>
      meetings
        .ordered()
        .filter(({ visibility }) => visibility === 'visible')
        .map(viewOf),
  }),
};

function setVisibility(state: SandboxState, name: string, visibility: Meeting['visibility']): MeetingView {
  return viewOf(change(state, name, (meeting) => Object.assign(meeting, { visibility })));
}

/** The invitee that a command names, or all active ones. @throws InvalidCommand when there are none */
function chosenOf(meeting: MeetingView, name: string | undefined): InviteeResource[] {
  const chosen = name === undefined ? activeOf(meeting) : [inviteeNamed(meeting, name)];
  if (chosen.length === 0) throw new InvalidCommand(`${meeting.event.uri} has no active invitee`);
  return chosen;
}
