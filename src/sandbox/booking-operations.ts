/**
 * What people do with meetings: book, cancel, reschedule, join, leave, miss. Each change that Calendly sends a webhook
 * for is announced. Knows no HTTP.
 */
import { z } from 'zod';
import type { InviteeChange } from './deliveries.js';
import * as factory from './factory.js';
import { idOf, uriOf, uuidOf } from './ids.js';
import { locationBy, locationOf } from './location.js';
import type { Meeting } from './meetings.js';
import * as base from './operation.js';
import { InvalidCommand, operation, timeNamed, viewOf } from './operation.js';
import { personBy } from './people.js';
import type { Cancellation, InviteeResource, MeetingView } from './resources.js';
import type { SandboxState } from './state.js';
import { DAY, formatInstant, type Micros, parseInstant, SECOND } from './time.js';

/** Somebody who books. What is left out is made up. */
const guest = z.strictObject({
  email: z.string().optional(),
  name: z.string().nullable().optional(),
  first_name: z.string().nullable().optional(),
  last_name: z.string().nullable().optional(),
  timezone: z.string().nullable().optional(),
  questions_and_answers: z
    .array(z.strictObject({ question: z.string(), answer: z.string(), position: z.int() }))
    .optional(),
  tracking: z.record(z.string(), z.string().nullable()).optional(),
  payment: z.looseObject({ amount: z.union([z.number(), z.string()]) }).optional(),
});
/** How many, or who. */
const guests = z.union([z.int().nonnegative(), z.array(guest)]);
const minutes = z.int().positive().default(30);
const by = z.enum(['host', 'invitee']).default('invitee');
const reason = z.string().nullable().default(null);
/** Whether the event's `updated_at` moves; Calendly does not document when it does. */
const touch = z.boolean().default(false);
const { event, invitee } = base;

const bookSchema = z.strictObject({
  host: base.host.default(0),
  /** Further hosts of the same event. */
  with: z.array(base.host).default([]),
  start: base.time.default('+24h'),
  minutes,
  name: z.string().nullable().optional(),
  invitees: guests.default(1),
  /** Places of a group event. Several invitees make a group too. */
  limit: z.int().positive().optional(),
  /** A location as the API shows it, one of its types, or null for none. */
  location: z.union([z.looseObject({ type: z.string() }), z.string(), z.null()]).optional(),
  guests: z.array(z.string()).default([]),
  /** When it was booked, if not now. */
  created: base.time.optional(),
});

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
        leaving =
          command.invitee === undefined ? activeOf(meeting) : [inviteeNamed(meeting, command.invitee)];
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
        const { invitee: name } = command;
        leaving = name === undefined ? activeOf(changed).slice(-1) : [inviteeNamed(changed, name)];
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
        concerned = who === undefined ? activeOf(changed) : [inviteeNamed(changed, who)];
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

function newId(state: SandboxState): string {
  return uuidOf(state.seed, 702, state.issuedIds++);
}

/** Replaces a meeting by a changed copy. @throws InvalidCommand for an unknown event */
function change(state: SandboxState, name: string, alter: (copy: Meeting) => void): Meeting {
  const meeting = state.meetings.change(idOf(name), alter);
  if (!meeting) throw new InvalidCommand(`There is no event ${name}`);
  return meeting;
}

function setVisibility(state: SandboxState, name: string, visibility: Meeting['visibility']): MeetingView {
  return viewOf(change(state, name, (meeting) => Object.assign(meeting, { visibility })));
}

function announce(
  { deliveries }: SandboxState,
  kind: InviteeChange['kind'],
  { event: subject }: MeetingView,
  concerned: readonly InviteeResource[],
): void {
  for (const one of concerned) deliveries.announce({ kind, event: subject, invitee: one });
}

/** Moves `updated_at`, unless the sandbox's timestamps are to misbehave. */
function touchResource({ timestamps, clock }: SandboxState, resource: { updated_at: string }): void {
  const before = parseInstant(resource.updated_at) ?? 0;
  if (timestamps === 'normal') resource.updated_at = formatInstant(clock.stamp());
  if (timestamps === 'backwards') resource.updated_at = formatInstant(before - SECOND);
}

/** Cancels some invitees, and the event when nobody is left. */
function withdraw(
  state: SandboxState,
  meeting: MeetingView,
  leaving: readonly InviteeResource[],
  cancellation: Cancellation,
  touched: boolean,
): void {
  const { event: subject, invitees } = meeting;
  for (const one of leaving) {
    const { updated_at } = one;
    factory.cancelInvitee(one, cancellation);
    if (state.timestamps !== 'normal') touchResource(state, Object.assign(one, { updated_at }));
  }
  factory.recount(subject, invitees);
  const isOver = activeOf(meeting).length === 0;
  if (isOver) Object.assign(subject, { status: 'canceled', cancellation });
  if (isOver || touched) touchResource(state, subject);
}

/** @throws InvalidCommand when there is nobody to cancel */
function cancellationOf(
  { clock }: SandboxState,
  { event: subject, invitees }: MeetingView,
  canceler_type: 'host' | 'invitee',
  why: string | null,
  who?: InviteeResource,
): Cancellation {
  const host = subject.event_memberships[0]?.user_name;
  const canceled_by = (canceler_type === 'host' ? host : (who ?? invitees[0])?.name) ?? 'Somebody';
  return { canceled_by, reason: why, canceler_type, created_at: formatInstant(clock.stamp()) };
}

function activeOf({ invitees }: MeetingView): InviteeResource[] {
  return invitees.filter(({ status }) => status === 'active');
}

function inviteeNamed({ event: subject, invitees }: MeetingView, name: string): InviteeResource {
  const found = invitees.find(
    ({ uri, email }) => uri === name || uri === factory.inviteeUri(subject.uri, name) || email === name,
  );
  if (!found) throw new InvalidCommand(`${idOf(subject.uri)} has no invitee ${name}`);
  return found;
}

function newMeeting(
  state: SandboxState,
  command: z.output<typeof bookSchema>,
  id: string,
  created: Micros,
): MeetingView {
  const { random, eventTypes } = state;
  const hosts = [command.host, ...command.with].map((name) => base.hostNamed(state, name));
  const asked = typeof command.invitees === 'number' ? Array(command.invitees).fill({}) : command.invitees;
  const limit = Math.max(1, command.limit ?? asked.length);
  const kind = limit > 1 ? 'group' : 'solo';
  const type = eventTypes.find(
    ({ owner, retired, resource }) =>
      owner === hosts[0]?.user.uri && !retired && resource.active && resource.kind === kind,
  )?.resource;
  const { location } = command;
  const subject = factory.createEvent({
    id,
    name: command.name === undefined ? (type?.name ?? null) : command.name,
    start: timeNamed(state, command.start),
    minutes: command.minutes,
    created,
    hosts,
    eventType: type?.uri ?? null,
    location:
      location === undefined
        ? locationBy(random)
        : typeof location === 'string'
          ? locationOf(location, random)
          : location,
    limit,
    guests: command.guests,
  });
  const invitees = asked.map((one) => newInvitee(state, one, subject.uri, created));
  factory.recount(subject, invitees);
  return { event: subject, invitees };
}

function newInvitee(state: SandboxState, given: z.output<typeof guest>, subject: string, created: Micros) {
  const person = personBy(state.random);
  // Whoever gives a name has no other name made up.
  const names = given.name === undefined ? {} : { first_name: null, last_name: null };
  const { payment, ...fields } = given;
  return factory.createInvitee(newId(state), subject, created, {
    ...person,
    ...names,
    ...(fields as Partial<InviteeResource>),
    payment: payment ? { ...USUAL_PAYMENT, ...payment } : null,
  });
}

const USUAL_PAYMENT = {
  external_id: 'ch_sandbox',
  provider: 'stripe',
  currency: 'EUR',
  terms: null,
  successful: true,
};

/** Empties what says who an invitee was. How Calendly shows an erased invitee is not documented. */
function anonymize({ invitees }: MeetingView, isErased: (one: InviteeResource) => boolean): void {
  for (const one of invitees.filter(isErased)) {
    if (one.cancellation?.canceler_type === 'invitee')
      one.cancellation = { ...one.cancellation, canceled_by: '' };
    Object.assign(one, { email: '', name: null, first_name: null, last_name: null, timezone: null });
    Object.assign(one, { questions_and_answers: [], text_reminder_number: null });
  }
}
