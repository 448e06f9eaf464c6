/**
 * How meetings change: what booking, canceling and the like do to events, invitees and timestamps. The operations in
 * `booking-operations.ts` are built from it. Knows no HTTP.
 */
import { z } from 'zod';
import type { InviteeChange } from './deliveries.js';
import * as factory from './factory.js';
import { idOf, uuidOf } from './ids.js';
import { locationBy, locationOf } from './location.js';
import type { Meeting } from './meetings.js';
import * as base from './operation.js';
import { InvalidCommand, timeNamed } from './operation.js';
import { personBy } from './people.js';
import type { Cancellation, InviteeResource, MeetingView } from './resources.js';
import type { SandboxState } from './state.js';
import { formatInstant, type Micros, parseInstant, SECOND } from './time.js';

/** Somebody who books. What is left out is made up. */
export const guest = z.strictObject({
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
export const guests = z.union([z.int().nonnegative(), z.array(guest)]);
export const minutes = z.int().positive().default(30);
export const bookSchema = z.strictObject({
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

export function newId(state: SandboxState): string {
  return uuidOf(state.seed, 702, state.issuedIds++);
}

/** Replaces a meeting by a changed copy. @throws InvalidCommand for an unknown event */
export function change(state: SandboxState, name: string, alter: (copy: Meeting) => void): Meeting {
  const meeting = state.meetings.change(idOf(name), alter);
  if (!meeting) throw new InvalidCommand(`There is no event ${name}`);
  return meeting;
}

export function announce(
  { deliveries }: SandboxState,
  kind: InviteeChange['kind'],
  { event: subject }: MeetingView,
  concerned: readonly InviteeResource[],
): void {
  for (const one of concerned) deliveries.announce({ kind, event: subject, invitee: one });
}

/** Moves `updated_at`, unless the sandbox's timestamps are to misbehave. */
export function touchResource({ timestamps, clock }: SandboxState, resource: { updated_at: string }): void {
  const before = parseInstant(resource.updated_at) ?? 0;
  if (timestamps === 'normal') resource.updated_at = formatInstant(clock.stamp());
  if (timestamps === 'backwards') resource.updated_at = formatInstant(before - SECOND);
}

/** Cancels some invitees, and the event when nobody is left. */
export function withdraw(
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
export function cancellationOf(
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

export function activeOf({ invitees }: MeetingView): InviteeResource[] {
  return invitees.filter(({ status }) => status === 'active');
}

export function inviteeNamed({ event: subject, invitees }: MeetingView, name: string): InviteeResource {
  const found = invitees.find(
    ({ uri, email }) => uri === name || uri === factory.inviteeUri(subject.uri, name) || email === name,
  );
  if (!found) throw new InvalidCommand(`${idOf(subject.uri)} has no invitee ${name}`);
  return found;
}

export function newMeeting(
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

export function newInvitee(
  state: SandboxState,
  given: z.output<typeof guest>,
  subject: string,
  created: Micros,
) {
  const person = personBy(state.random);
  // With a given name, a made-up first or last name would contradict it.
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
export function anonymize({ invitees }: MeetingView, isErased: (one: InviteeResource) => boolean): void {
  for (const one of invitees.filter(isErased)) {
    if (one.cancellation?.canceler_type === 'invitee')
      one.cancellation = { ...one.cancellation, canceled_by: '' };
    Object.assign(one, { email: '', name: null, first_name: null, last_name: null, timezone: null });
    Object.assign(one, { questions_and_answers: [], text_reminder_number: null });
  }
}
