/**
 * The generated meetings: each is made again whenever it is asked for, from the seed and its number alone, so that a
 * million of them need no memory. Knows no store and no HTTP.
 */

import { makeOdd } from './edge-cases.js';
import type { Catalog } from './event-types.js';
import { eventIdOf, eventNumberOf, shortIdOf, uriOf, uuidOf } from './identifiers.js';
import { createInvitee, inviteeUri, noShowMark } from './invitee.js';
import { isConference, locationBy } from './location.js';
import { type Meeting, recount } from './meeting.js';
import { formatInstant, HOUR, MINUTE, type Micros } from './microseconds.js';
import { type Host, personBy } from './people.js';
import { between, pick, type Random, randomOf } from './random.js';
import type { Cancellation, EventResource, InviteeResource, Payment } from './resources.js';
import * as scenario from './scenario.js';

export interface Generated {
  readonly count: number;
  /** The start of a meeting, without making it. */
  startOf(number: number): Micros;
  /** Whether one of these users hosts the meeting, without making it. */
  isHostedBy(number: number, users: ReadonlySet<string>): boolean;
  /** Makes the meeting; each call makes a new copy. */
  meeting(number: number): Meeting;
  /** The number of the meeting with this id; null when there is none. */
  numberOf(id: string): number | null;
}

/** Prepares the generated meetings of an organization. */
export function createGenerated(frame: scenario.Frame, hosts: readonly Host[], catalog: Catalog): Generated {
  const { seed } = frame;
  const count = scenario.totalOf(frame);
  const idFor = (number: number) => eventIdOf(seed, number, scenario.isOld(frame, number));
  return {
    count,
    startOf: (number) => scenario.startOf(frame, number),
    isHostedBy: (number, users) =>
      scenario.hostsOf(frame, number).some((host) => users.has(hosts[host]?.user.uri ?? '')),
    meeting: (number) => makeMeeting({ frame, hosts, catalog, idFor }, number),
    numberOf(id) {
      const number = eventNumberOf(seed, id);
      return number !== null && number < count && idFor(number) === id ? number : null;
    },
  };
}

interface World {
  frame: scenario.Frame;
  hosts: readonly Host[];
  catalog: Catalog;
  idFor(number: number): string;
}

function makeMeeting(world: World, number: number): Meeting {
  const { frame } = world;
  const part = scenario.partOf(frame, number);
  const event = makeEvent(world, number, part);
  const size = part.kind === 'group' ? part.size : part.kind === 'empty' ? 0 : 1;
  const invitees = Array.from({ length: size }, (_, index) => makeInvitee(world, number, index, event));
  const meeting: Meeting = {
    sequence: number,
    start: scenario.startOf(frame, number),
    event,
    invitees,
    visibility: 'visible',
  };
  if (part.kind === 'canceled') cancel(world, number, meeting, part.by);
  if (part.kind === 'group') leave(world, number, meeting);
  linkChain(world, number, meeting);
  markNoShows(world, number, meeting);
  recount(meeting);
  const oddity = scenario.oddityOf(frame, number);
  if (oddity !== null) makeOdd(meeting, oddity);
  return meeting;
}

function makeEvent(world: World, number: number, part: scenario.Part): EventResource {
  const { frame, hosts } = world;
  const { seed } = frame;
  const random = randomOf(seed, number, 31);
  const start = scenario.startOf(frame, number);
  const created = scenario.createdAt(frame, number);
  const owners = scenario.hostsOf(frame, number).flatMap((host) => hosts[host] ?? []);
  const type = typeFor(world, number, owners[0], part.kind === 'group');
  const minutes = type?.duration ?? 30;
  const location = locationBy(random);
  const updated = created + (isConference(location) ? between(random, 2_000_000, 8_000_000) : 13_402);
  const end = start + minutes * MINUTE;
  const guests = random() < 0.15 ? between(random, 1, 3) : 0;
  return {
    uri: uriOf('scheduled_events', world.idFor(number)),
    name: type?.name ?? null,
    meeting_notes_plain: null,
    meeting_notes_html: null,
    status: 'active',
    start_time: formatInstant(start),
    end_time: formatInstant(end),
    event_type: type?.uri ?? null,
    location,
    invitees_counter: {
      total: 0,
      active: 0,
      limit: part.kind === 'group' ? Math.max(20, part.size + 13) : 1,
    },
    created_at: formatInstant(created),
    updated_at: formatInstant(updated),
    event_memberships: owners.map(({ user }) => ({
      user: user.uri,
      user_email: user.email,
      user_name: user.name,
      buffered_start_time: formatInstant(start - 15 * MINUTE),
      buffered_end_time: formatInstant(end + 15 * MINUTE),
    })),
    event_guests: Array.from({ length: guests }, () => ({
      email: personBy(random).email,
      created_at: formatInstant(created),
      updated_at: formatInstant(created),
    })),
    calendar_event: {
      kind: pick(random, ['google', 'outlook', 'exchange']),
      external_id: uuidOf(seed, number, 32),
    },
  };
}

/** One of the host's types; a quarter of the meetings has a type that was retired since. */
function typeFor({ frame, catalog }: World, number: number, owner: Host | undefined, group: boolean) {
  const random = randomOf(frame.seed, scenario.chainOf(frame, number).root, 33);
  const retired = random() < 0.25;
  const kind = group ? 'group' : 'solo';
  const entries = catalog.get(owner?.user.uri ?? '') ?? [];
  return pick(
    random,
    entries.filter((entry) => entry.retired === retired && entry.resource.kind === kind),
  ).resource;
}

function makeInvitee(world: World, number: number, index: number, event: EventResource): InviteeResource {
  const { frame } = world;
  const { seed } = frame;
  const { root } = scenario.chainOf(frame, number);
  const random = randomOf(seed, root, 34, index);
  const person = personBy(random);
  const created = scenario.createdAt(frame, number);
  const until = scenario.settledBy(frame, number) - 2 * HOUR;
  // The first invitee makes the event; the others of a group join until shortly before it.
  const createdAt = index === 0 ? created : created + Math.floor(random() * Math.max(1, until - created));
  const invitee = createInvitee({
    id: inviteeId(frame, number, index),
    event: event.uri,
    ...person,
    createdAt,
    answers: random() < 0.4 ? answersBy(random) : [],
    tracking:
      random() < 0.3 ? { utm_source: 'newsletter', utm_campaign: pick(random, ['spring', 'autumn']) } : {},
    payment: paymentFor(frame, number, random),
  });
  if (random() < 0.1) invitee.text_reminder_number = '+1 646 555 0182';
  if (random() < 0.05) invitee.reconfirmation = { created_at: invitee.created_at, confirmed_at: null };
  if (random() < 0.05)
    invitee.routing_form_submission = uriOf('routing_form_submissions', uuidOf(seed, number, 35));
  return invitee;
}

function inviteeId(frame: scenario.Frame, number: number, index: number): string {
  const idOf = scenario.isOld(frame, number) ? shortIdOf : uuidOf;
  return idOf(frame.seed, number, 36, index);
}

function answersBy(random: Random) {
  const answers = [
    {
      question: 'What would you like to talk about?',
      answer: pick(random, ['Pricing', 'Hiring', 'The roadmap']),
    },
    { question: 'Company', answer: 'Müller & Söhne GmbH' },
    { question: 'Which days suit you?', answer: 'Monday\nThursday' },
  ];
  return answers.slice(0, between(random, 1, 3)).map((answer, position) => ({ ...answer, position }));
}

/** Calendly answers amounts as numbers, and some as text. */
function paymentFor(frame: scenario.Frame, number: number, random: Random): Payment | null {
  const kind = scenario.paymentOf(frame, number);
  if (kind === null) return null;
  return {
    external_id: `ch_${uuidOf(number, 37).replaceAll('-', '').slice(0, 24)}`,
    provider: pick(random, ['stripe', 'paypal']),
    amount: kind === 'number' ? 49.5 : '120.00',
    currency: 'EUR',
    terms: kind === 'number' ? null : 'Refundable until the day before.',
    successful: true,
  };
}

function cancel(world: World, number: number, { event, invitees }: Meeting, by: 'host' | 'invitee'): void {
  const { frame, hosts } = world;
  const random = randomOf(frame.seed, number, 38);
  const at = scenario.settledBy(frame, number) - between(random, 1_800, 80_000) * 1_000_000 + 271_828;
  const owner = hosts[scenario.hostsOf(frame, number)[0] ?? 0];
  const cancellation: Cancellation = {
    canceled_by: (by === 'host' ? owner?.user.name : invitees[0]?.name) ?? 'Somebody',
    reason: random() < 0.5 ? null : pick(random, ['Something came up', 'Double booked', 'Krank, leider 🤒']),
    canceler_type: by,
    created_at: formatInstant(at),
  };
  Object.assign(event, { status: 'canceled', cancellation, updated_at: formatInstant(at + 35_114) });
  for (const invitee of invitees) {
    Object.assign(invitee, { status: 'canceled', cancellation, updated_at: formatInstant(at + 22_008) });
  }
}

/** Some invitees of a group left again; the event goes on. */
function leave({ frame }: World, number: number, { invitees }: Meeting): void {
  const random = randomOf(frame.seed, number, 39);
  const at = formatInstant(scenario.settledBy(frame, number) - HOUR + 161_803);
  for (const invitee of invitees.slice(1)) {
    if (random() >= 0.15) continue;
    const by = invitee.name ?? invitee.email;
    Object.assign(invitee, {
      status: 'canceled',
      updated_at: at,
      cancellation: { canceled_by: by, reason: null, canceler_type: 'invitee', created_at: at },
    });
  }
}

/** Links the first invitee with the same one in the meetings before and after in the chain. */
function linkChain(world: World, number: number, meeting: Meeting): void {
  const { frame, idFor } = world;
  const { previous, next } = scenario.chainOf(frame, number);
  const invitee = meeting.invitees[0];
  if (!invitee) return;
  const inviteeIn = (other: number) =>
    inviteeUri(uriOf('scheduled_events', idFor(other)), inviteeId(frame, other, 0));
  if (previous !== null) invitee.old_invitee = inviteeIn(previous);
  if (next === null) return;
  const at = formatInstant(scenario.rescheduledAt(frame, number));
  const cancellation: Cancellation = {
    canceled_by: invitee.name ?? invitee.email,
    reason: 'A better day',
    canceler_type: 'invitee',
    created_at: at,
  };
  Object.assign(invitee, {
    status: 'canceled',
    rescheduled: true,
    new_invitee: inviteeIn(next),
    cancellation,
  });
  invitee.updated_at = at;
  Object.assign(meeting.event, { status: 'canceled', cancellation, updated_at: at });
}

function markNoShows({ frame }: World, number: number, { start, event, invitees }: Meeting): void {
  const at = start + 3 * HOUR;
  if (event.status !== 'active' || at > frame.today) return;
  const random = randomOf(frame.seed, number, 40);
  for (const [index, invitee] of invitees.entries()) {
    if (invitee.status !== 'active' || random() >= 0.06) continue;
    invitee.no_show = noShowMark(uuidOf(frame.seed, number, 41, index), at + 577_215);
  }
}
