/** New events and invitees from orders, and the second half of a reschedule. Pure; knows no store. */

import { type GuestOrder, type Order, OrderError } from './commands.js';
import { parseDuration } from './duration.js';
import type { Catalog } from './event-types.js';
import { uriOf } from './identifiers.js';
import { createInvitee } from './invitee.js';
import { locationBy, locationOf } from './location.js';
import type { Meeting } from './meeting.js';
import { formatInstant, MINUTE, type Micros, parseInstant } from './microseconds.js';
import { type Host, personBy } from './people.js';
import type { Random } from './random.js';
import type { EventResource, InviteeResource, LocationResource, Payment } from './resources.js';

/** The instant of `+36h`, `-2d` or a UTC time. @throws OrderError */
export function instantOf(text: string, now: Micros): Micros {
  const ms = /^[+-]/.test(text) ? parseDuration(text.slice(1)) : null;
  if (ms !== null) return now + (text.startsWith('-') ? -ms : ms) * 1_000;
  const instant = parseInstant(text);
  if (instant === null) throw new OrderError(`"${text}" is no time; write +36h, -2d or 2026-01-31T09:00:00Z`);
  return instant;
}

/** What a new event needs beside its order. */
export interface Booking {
  id: string;
  created: Micros;
  now: Micros;
  catalog: Catalog;
  random: Random;
}

/** The event that an order makes; it has no invitees yet. */
export function createEvent(order: Order<'book'>, hosts: Host[], booking: Booking): EventResource {
  const { id, created, now, catalog, random } = booking;
  const start = instantOf(order.start, now);
  const end = start + order.minutes * MINUTE;
  const places = order.limit ?? (typeof order.invitees === 'number' ? order.invitees : order.invitees.length);
  const kind = places > 1 ? 'group' : 'solo';
  const type = catalog
    .get(hosts[0]?.user.uri ?? '')
    ?.find(({ retired, resource }) => !retired && resource.active && resource.kind === kind)?.resource;
  const location = locationFor(order.location, random);
  const stamp = formatInstant(created);
  return {
    uri: uriOf('scheduled_events', id),
    name: order.name === undefined ? (type?.name ?? null) : order.name,
    meeting_notes_plain: null,
    meeting_notes_html: null,
    status: 'active',
    start_time: formatInstant(start),
    end_time: formatInstant(end),
    event_type: type?.uri ?? null,
    location,
    invitees_counter: { total: 0, active: 0, limit: Math.max(1, places) },
    created_at: stamp,
    updated_at: stamp,
    event_memberships: hosts.map(({ user }) => ({
      user: user.uri,
      user_email: user.email,
      user_name: user.name,
      buffered_start_time: formatInstant(start),
      buffered_end_time: formatInstant(end),
    })),
    event_guests: order.guests.map((email) => ({ email, created_at: stamp, updated_at: stamp })),
    calendar_event: { kind: 'google', external_id: id.replaceAll('-', '') },
  };
}

function locationFor(order: Order<'book'>['location'], random: Random): LocationResource | null {
  if (order === undefined) return locationBy(random);
  return typeof order === 'string' ? locationOf(order, random) : order;
}

/** The invitee that an order makes; what it leaves out is made up. */
export function createGuest(order: GuestOrder, event: string, id: string, createdAt: Micros, random: Random) {
  const person = personBy(random);
  const named = order.name !== undefined;
  const invitee = createInvitee({
    id,
    event,
    email: order.email ?? person.email,
    name: named ? (order.name ?? null) : person.name,
    first: order.first_name ?? (named ? null : person.first),
    last: order.last_name ?? (named ? null : person.last),
    timezone: order.timezone === undefined ? person.timezone : order.timezone,
    createdAt,
    answers: order.questions_and_answers ?? [],
    tracking: order.tracking ?? {},
  });
  if (order.payment) invitee.payment = { ...USUAL_PAYMENT, ...order.payment };
  return invitee;
}

const USUAL_PAYMENT: Omit<Payment, 'amount'> = {
  external_id: 'ch_sandbox',
  provider: 'stripe',
  currency: 'EUR',
  terms: null,
  successful: true,
};

/** The event that a rescheduled one becomes: the same but for its id, its time and its history. */
export function movedEvent(
  old: Meeting,
  id: string,
  start: Micros,
  created: Micros,
): Omit<Meeting, 'sequence'> {
  const { cancellation: _gone, ...event } = structuredClone(old.event);
  const length = (parseInstant(event.end_time) ?? 0) - (parseInstant(event.start_time) ?? 0);
  Object.assign(event, {
    uri: uriOf('scheduled_events', id),
    status: 'active',
    start_time: formatInstant(start),
    end_time: formatInstant(start + length),
    created_at: formatInstant(created),
    updated_at: formatInstant(created),
  });
  for (const membership of event.event_memberships) {
    if (membership.buffered_start_time) membership.buffered_start_time = formatInstant(start);
    if (membership.buffered_end_time) membership.buffered_end_time = formatInstant(start + length);
  }
  return { start, event, invitees: [], visibility: 'visible' };
}

/** The invitee that a rescheduled one becomes; `old_invitee` says whom it was. */
export function movedInvitee(before: InviteeResource, event: EventResource, id: string): InviteeResource {
  const { cancellation: _gone, ...rest } = structuredClone(before);
  const fresh = createInvitee({ ...rest, id, event: event.uri, createdAt: 0 });
  return {
    ...rest,
    uri: fresh.uri,
    event: event.uri,
    status: 'active',
    created_at: event.created_at,
    updated_at: event.created_at,
    rescheduled: false,
    old_invitee: before.uri,
    new_invitee: null,
    cancel_url: fresh.cancel_url,
    reschedule_url: fresh.reschedule_url,
    no_show: null,
  };
}
