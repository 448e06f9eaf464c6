/** What booking, canceling and the like do to events, invitees, timestamps and webhooks. Knows no HTTP. */
import { z } from 'zod';
import type { Meeting } from './meetings.js';
import * as base from './operation.js';
import { InvalidCommand } from './operation.js';
import { idOf } from './organization.js';
import { uuidOf } from './random.js';
import {
  cancelInvitee,
  createEvent,
  createInvitee,
  type InviteeResource,
  inviteeUri,
  type MeetingView,
  recount,
} from './resources.js';
import { locationBy, personBy } from './samples.js';
import type { SandboxState } from './state.js';
import { formatInstant, instantOf, SECOND } from './time.js';
import type { WebhookEvent } from './webhooks.js';

const text = z.string().nullable().optional();
/** Somebody who books. What is left out is made up. */
export const guest = z.strictObject({
  email: z.string().optional(),
  name: text,
  first_name: text,
  last_name: text,
  timezone: text,
  questions_and_answers: z
    .array(z.strictObject({ question: z.string(), answer: z.string(), position: z.int() }))
    .optional(),
  tracking: z.record(z.string(), z.string().nullable()).optional(),
  payment: z.looseObject({ amount: z.union([z.number(), z.string()]) }).optional(),
});
const booked = {
  minutes: z.int().positive().default(30),
  name: text,
  /** How many, or who. */
  invitees: z.union([z.int().nonnegative(), z.array(guest)]).default(1),
  /** When it was booked. */
  created: base.time.optional(),
};

export const bookFields = {
  host: base.host.default(0),
  start: base.time.default('+24h'),
  ...booked,
  /** Further hosts of the same event. */
  with: z.array(base.host).default([]),
  /** Places of a group event. Several invitees make a group too. */
  limit: z.int().positive().optional(),
  location: z.looseObject({ type: z.string() }).nullable().optional(),
  guests: z.array(z.string()).default([]),
};

export const importedMeeting = z.strictObject({
  id: z.string().min(1),
  start: base.time,
  ...booked,
  status: z.enum(['active', 'canceled']).default('active'),
});

export function newId(state: SandboxState): string {
  return uuidOf(state.seed, 702, state.issuedIds++);
}

/** The meeting that a command is about to change. @throws InvalidCommand */
export function meetingNamed({ meetings }: SandboxState, name: string): Meeting {
  const meeting = meetings.change(idOf(name));
  if (!meeting) throw new InvalidCommand(`There is no event ${name}`);
  return meeting;
}

/** @throws InvalidCommand */
export function inviteeNamed({ event, invitees }: MeetingView, name: string): InviteeResource {
  const found = invitees.find(
    ({ uri, email }) => uri === name || uri === inviteeUri(event.uri, name) || email === name,
  );
  if (!found) throw new InvalidCommand(`${idOf(event.uri)} has no invitee ${name}`);
  return found;
}

/** The invitee that a command names, or all active ones. @throws InvalidCommand when there are none */
export function inviteesNamed(meeting: MeetingView, name: string | undefined): InviteeResource[] {
  const found = name === undefined ? activeOf(meeting) : [inviteeNamed(meeting, name)];
  if (found.length === 0) throw new InvalidCommand(`${meeting.event.uri} has no active invitee`);
  return found;
}

export function activeOf({ invitees }: MeetingView): InviteeResource[] {
  return invitees.filter(({ status }) => status === 'active');
}

export function announce(
  { webhooks }: SandboxState,
  kind: WebhookEvent,
  { event }: MeetingView,
  invitees: readonly InviteeResource[],
): void {
  for (const invitee of invitees) webhooks.announce(kind, event, invitee);
}

/** Moves `updated_at`, unless the sandbox's timestamps are to misbehave. */
export function touchResource({ timestamps, clock }: SandboxState, resource: { updated_at: string }): void {
  if (timestamps === 'normal') resource.updated_at = clock.stamp();
  const before = instantOf(resource.updated_at);
  if (timestamps === 'backwards') resource.updated_at = formatInstant(before - SECOND);
}

/** Cancels some invitees, and the event when nobody is left. @param touch moves the event's `updated_at` anyway */
export function cancelInvitees(
  state: SandboxState,
  meeting: MeetingView,
  leaving: readonly InviteeResource[],
  { by, reason, touch }: { by: 'host' | 'invitee'; reason: string | null; touch: boolean },
): void {
  const { event, invitees } = meeting;
  const canceler = by === 'host' ? event.event_memberships[0]?.user_name : (leaving[0] ?? invitees[0])?.name;
  const created_at = state.clock.stamp();
  const cancellation = { canceled_by: canceler ?? 'Somebody', reason, canceler_type: by, created_at };
  for (const invitee of leaving) {
    const { updated_at } = invitee;
    cancelInvitee(invitee, cancellation);
    if (state.timestamps !== 'normal') touchResource(state, Object.assign(invitee, { updated_at }));
  }
  recount(meeting);
  const isOver = activeOf(meeting).length === 0;
  if (isOver) Object.assign(event, { status: 'canceled', cancellation });
  if (isOver || touch) touchResource(state, event);
}

/** A new meeting with its invitees; neither stored nor announced. */
export function newMeeting(
  state: SandboxState,
  command: z.output<z.ZodObject<typeof bookFields>>,
  id: string,
  created_at: string,
): MeetingView {
  const { minutes, guests, location = locationBy(state.random) } = command;
  const hosts = [command.host, ...command.with].map((name) => base.hostNamed(state, name));
  const asked = typeof command.invitees === 'number' ? Array(command.invitees).fill({}) : command.invitees;
  const limit = Math.max(1, command.limit ?? asked.length);
  const kind = limit > 1 ? 'group' : 'solo';
  const type = state.organization.eventTypes.find(
    ({ owner, resource }) => owner === hosts[0]?.user.uri && resource.active && resource.kind === kind,
  )?.resource;
  const name = command.name === undefined ? (type?.name ?? null) : command.name;
  const start = base.timeNamed(state, command.start);
  const facts = { name, start, minutes, hosts, location, limit, guests };
  const event = createEvent({ id, created_at, event_type: type?.uri ?? null, ...facts });
  const meeting = { event, invitees: asked.map((one) => newInvitee(state, one, event.uri, created_at)) };
  recount(meeting);
  return meeting;
}

const PAYMENT = {
  external_id: 'ch_sandbox',
  provider: 'stripe',
  currency: 'EUR',
  terms: null,
  successful: true,
};

export function newInvitee(
  state: SandboxState,
  { payment, ...given }: z.output<typeof guest>,
  event: string,
  created_at: string,
) {
  // With a given name, a made-up first or last name would contradict it.
  const names = given.name === undefined ? {} : { first_name: null, last_name: null };
  return createInvitee(newId(state), event, created_at, {
    ...personBy(state.random),
    ...names,
    ...(given as Partial<InviteeResource>),
    payment: payment ? { ...PAYMENT, ...payment } : null,
  });
}
