/** What can be done to meetings. An operation checks its command before it changes anything. Knows no HTTP. */
import { z } from 'zod';
import * as bookings from './bookings.js';
import type { Meeting } from './meetings.js';
import { host, hostNamed, InvalidCommand, operation, time, timeNamed } from './operation.js';
import { idOf } from './organization.js';
import { uuidBy } from './random.js';
import { type Guest, type Invitee, type MeetingView, membershipOf } from './resources.js';
import { locationBy } from './samples.js';
import type { State } from './state.js';
import { instantOf } from './time.js';

/** The event that a command is about: its URI or id. */
const subject = { event: z.string().min(1) };
/** An invitee: URI, id, e-mail, or number; -1 is the last one. */
const invitee = z.union([z.int(), z.string().min(1)]).optional();
const by = z.enum(['host', 'invitee']).default('invitee');
const reason = z.string().nullable().default(null);
/** Whether the event's `updated_at` moves; Calendly does not document when it does. */
const touch = z.boolean().default(false);
/** Somebody who books: any fields of an invitee. What is left out is made up. */
const guest = z.custom<Guest>((value) => typeof value === 'object' && value !== null, 'is not an invitee');

const booking = {
  /** The id or URI of the event, for one that an older integration has stored. */
  id: z.string().min(1).optional(),
  host: host.default(0),
  /** Further hosts of the same event. */
  with: z.array(host).default([]),
  start: time.default('+24h'),
  minutes: z.int().positive().default(30),
  name: z.string().nullable().optional(),
  /** How many, or who. */
  invitees: z.union([z.int().nonnegative(), z.array(guest)]).default(1),
  /** Places of a group event. Several invitees make a group too. */
  limit: z.int().positive().default(1),
  location: z.looseObject({ type: z.string() }).nullable().optional(),
  guests: z.array(z.string()).default([]),
  /** When it was booked. */
  created: time.default('+0s'),
};

/** Of an invitee whose data were erased. How Calendly shows one is not documented. */
const NOBODY = { email: '', name: null, first_name: null, last_name: null, timezone: null };

export const meetingOperations = {
  book: operation('books a meeting', booking, (state, command) => viewOf(book(state, command))),
  importMeetings: operation(
    'books meetings that another integration has stored, with their ids',
    { meetings: z.array(z.strictObject(booking)) },
    (state, { meetings }) => meetings.map((command) => viewOf(book(state, command))),
  ),
  join: change(
    'adds an invitee to a group',
    { invitee: guest.default({}), touch },
    (meeting, command, state) => bookings.join(state, meeting, command.invitee, command.touch),
  ),
  cancel: change(
    'cancels an invitee, or all of them; the meeting ends with its last one',
    { invitee, by, reason, touch },
    (meeting, command, state) => {
      if (meeting.event.status === 'canceled') throw new InvalidCommand('The meeting is canceled already');
      const isAll = command.invitee === undefined;
      const leaving = isAll ? bookings.activeOf(meeting) : activeNamed(meeting, command.invitee);
      bookings.cancel(state, meeting, leaving, command);
    },
  ),
  reschedule: operation(
    'moves a meeting, or one invitee of a group, to a new meeting',
    { ...subject, invitee, start: time.default('+48h'), by, reason },
    (state, command) => {
      const start = timeNamed(state, command.start);
      const old = meetingNamed(state, command.event);
      const leaving = activeNamed(old, command.invitee);
      const moved = bookings.reschedule(state, old, leaving, start, command);
      return { old: viewOf(old), new: viewOf(moved) };
    },
  ),
  noShow: change(
    'marks an invitee, or all active ones, as no-show; "marked": false removes the mark',
    { invitee, marked: z.boolean().default(true) },
    (meeting, command, state) =>
      bookings.markNoShows(state, meeting, activeNamed(meeting, command.invitee), command.marked),
  ),
  reassign: change(
    'gives a meeting to another host; no webhook',
    { to: host },
    ({ event }, { to }, state) => {
      Object.assign(event.event_memberships[0] ?? {}, membershipOf(hostNamed(state, to)));
      bookings.touch(state, event);
    },
  ),
  edit: change(
    'sets and removes any fields of an event or an invitee; "touch": false keeps updated_at',
    {
      invitee,
      set: z.record(z.string(), z.unknown()).default({}),
      unset: z.array(z.string()).default([]),
      touch: z.boolean().default(true),
    },
    (meeting, command, state) => {
      const resource = command.invitee === undefined ? meeting.event : inviteeNamed(meeting, command.invitee);
      if (command.touch) bookings.touch(state, resource);
      Object.assign(resource, structuredClone(command.set));
      for (const field of command.unset) delete resource[field];
      meeting.start = instantOf(meeting.event.start_time);
    },
  ),
  erase: operation('empties the data of a person', { email: z.string() }, ({ meetings }, { email }) => {
    const invitees = meetings.ordered().flatMap((meeting) => meeting.invitees);
    const erased = invitees.filter((one) => one.email.toLowerCase() === email.toLowerCase());
    for (const one of erased) Object.assign(one, NOBODY, { questions_and_answers: [] });
    return { erased: erased.length };
  }),
  delete: answering('deletes a meeting: it answers 404 and is not listed', 404),
  loseAccess: answering('hides a meeting: it answers 403 and is not listed', 403),
  restore: answering('undoes delete and lose-access', 200),
  state: operation('all visible meetings with their invitees', {}, ({ meetings }) => {
    const visible = meetings.ordered().filter(({ answer }) => answer === 200);
    return visible.map(viewOf);
  }),
};

/** An operation that changes one meeting and answers how it is afterwards. */
function change<Fields extends z.ZodRawShape>(
  summary: string,
  fields: Fields,
  alter: (meeting: Meeting, command: z.output<z.ZodObject<Fields & typeof subject>>, state: State) => void,
) {
  return operation(summary, { ...subject, ...fields }, (state, command) => {
    const meeting = meetingNamed(state, (command as { event: string }).event);
    alter(meeting, command, state);
    return viewOf(meeting);
  });
}

function answering(summary: string, answer: Meeting['answer']) {
  return change(summary, {}, (meeting) => Object.assign(meeting, { answer }));
}

function book(state: State, command: z.output<z.ZodObject<typeof booking>>): Meeting {
  const { limit, invitees, location = locationBy(state.random), minutes, guests } = command;
  const id = idOf(command.id ?? uuidBy(state.random));
  if (state.meetings.find(id)) throw new InvalidCommand(`There is an event ${id} already`);
  const hosts = [command.host, ...command.with].map((one) => hostNamed(state, one));
  const asked = typeof invitees === 'number' ? Array<Guest>(invitees).fill({}) : invitees;
  const places = Math.max(limit, asked.length);
  const type = state.organization.eventTypes.find(
    ({ owner, resource: { active, kind } }) =>
      owner === hosts[0]?.user.uri && active && kind === (places > 1 ? 'group' : 'solo'),
  )?.resource;
  const name = command.name === undefined ? (type?.name ?? null) : command.name;
  const start = timeNamed(state, command.start);
  const facts = {
    id,
    name,
    start,
    minutes,
    hosts,
    event_type: type?.uri ?? null,
    location,
    limit: places,
    guests,
  };
  const run = () => bookings.book(state, facts, asked);
  return command.created === '+0s' ? run() : state.clock.at(timeNamed(state, command.created), run);
}

/** The meeting that a command names. @throws InvalidCommand */
function meetingNamed({ meetings }: State, name: string): Meeting {
  const meeting = meetings.find(idOf(name));
  if (!meeting) throw new InvalidCommand(`There is no event ${name}`);
  return meeting;
}

/** @throws InvalidCommand */
function inviteeNamed({ event, invitees }: MeetingView, name: number | string): Invitee {
  const isNamed = ({ uri, email }: Invitee) => [uri, idOf(uri), email].includes(String(name));
  const found = typeof name === 'number' ? invitees.at(name) : invitees.find(isNamed);
  if (!found) throw new InvalidCommand(`${event.uri} has no invitee ${name}`);
  return found;
}

/** The active invitee that a command names, or all active ones. @throws InvalidCommand when there are none */
function activeNamed(meeting: MeetingView, name: number | string | undefined): Invitee[] {
  const named = name === undefined ? meeting.invitees : [inviteeNamed(meeting, name)];
  const active = named.filter(({ status }) => status === 'active');
  if (active.length === 0) throw new InvalidCommand(`${meeting.event.uri} has no such active invitee`);
  return active;
}

/** A copy of a meeting for the caller. */
function viewOf({ event, invitees }: MeetingView): MeetingView {
  return structuredClone({ event, invitees });
}
