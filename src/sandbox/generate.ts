/**
 * Generates the meetings that an organization starts with. Meeting N is the N-th in time, the hosts take turns, and
 * its position in a block of forty of its host's meetings decides what becomes of it, so that a few hundred show
 * everything. The same for the same seed; knows no store.
 */
import { applyEdgeCase } from './edge-cases.js';
import type { EventType } from './event-types.js';
import * as factory from './factory.js';
import { shortIdOf, uriOf, uuidOf } from './ids.js';
import { locationBy } from './location.js';
import { type Host, personBy } from './people.js';
import { between, mix, pick, type Random, randomOf } from './random.js';
import type { Cancellation, EventResource, InviteeResource, MeetingView } from './resources.js';
import { DAY, formatInstant, HOUR, MINUTE, type Micros, parseInstant } from './time.js';

export interface Scenario {
  seed: number;
  /** How many meetings each host owns. */
  each: number;
  hosts: readonly Host[];
  eventTypes: readonly EventType[];
  /** Midnight (UTC) of the current day. */
  today: Micros;
}

const BLOCK = 40;
/** Positions within a block that one booking is moved through. */
const CHAINS: readonly (readonly number[])[] = [
  [3, 9],
  [14, 21, 28],
];
const CANCELED = new Map<number, 'host' | 'invitee'>([
  [1, 'invitee'],
  [24, 'host'],
]);
const GROUPS = new Set([6, 16, 26, 36]);
const WITHOUT_INVITEES = 39;
const EDGE_CASES = [12, 23, 30, 34];
/** Calendly answers amounts as numbers, and some as text. */
const PAYMENTS = new Map<number, { amount: number | string; terms: string | null }>([
  [18, { amount: 49.5, terms: null }],
  [32, { amount: '120.00', terms: 'Refundable until the day before.' }],
]);
/** From this many meetings on, each host has one with more invitees than a page holds. */
const CROWD_FROM = 200;
const CROWD_SIZE = 137;

/** One meeting while it is being generated. */
interface Draft {
  number: number;
  index: number;
  position: number;
  start: Micros;
  /** The latest time at which something may have happened to it: its start, or the beginning of today. */
  settled: Micros;
  created: Micros;
}

/** Generates all meetings in the order of their start. */
export function generateMeetings(scenario: Scenario): MeetingView[] {
  const { seed, each, hosts, today } = scenario;
  const meetings: MeetingView[] = [];
  for (let number = 0; number < each * hosts.length; number++) {
    const index = Math.floor(number / hosts.length);
    const start = startOf(scenario, number);
    const settled = Math.min(start, today);
    const created = settled - 2 * DAY - Math.floor(randomOf(seed, number, 24)() * 20 * DAY);
    const draft = { number, index, position: index % BLOCK, start, settled, created };
    const chain = CHAINS.find((positions) => positions.includes(draft.position));
    const step = chain?.indexOf(draft.position) ?? 0;
    const previous = number - (draft.position - (chain?.[step - 1] ?? draft.position)) * hosts.length;
    const before = meetings[previous];
    const meeting = before ? movedMeeting(scenario, draft, before, step) : newMeeting(scenario, draft);
    // Parsed JSON takes half the memory of objects and strings that were put together from pieces.
    meetings.push(JSON.parse(JSON.stringify(meeting)) as MeetingView);
  }
  for (const [number, meeting] of meetings.entries()) {
    markNoShows(scenario, meeting, number);
    factory.recount(meeting.event, meeting.invitees);
    const index = Math.floor(number / hosts.length);
    const edgeCase = EDGE_CASES.indexOf(index % BLOCK);
    if (edgeCase >= 0) applyEdgeCase(meeting, Math.floor(index / BLOCK) * EDGE_CASES.length + edgeCase);
  }
  return meetings;
}

function newMeeting(scenario: Scenario, draft: Draft): MeetingView {
  const { number, position, settled } = draft;
  const size = sizeOf(scenario, draft);
  const event = newEvent(scenario, draft, size);
  const invitees = Array.from({ length: size }, (_, index) => newInvitee(scenario, draft, index, event));
  const random = randomOf(scenario.seed, number, 38);
  const by = CANCELED.get(position);
  if (by) {
    const at = settled - between(random, 1_800, 80_000) * 1_000_000 + 271_828;
    const who = by === 'host' ? event.event_memberships[0]?.user_name : invitees[0]?.name;
    const reason = random() < 0.5 ? null : pick(random, ['Something came up', 'Double booked', 'Krank 🤒 ']);
    const cancellation = cancellationOf(who ?? 'Somebody', reason, by, at);
    for (const invitee of invitees) factory.cancelInvitee(invitee, cancellation);
    Object.assign(event, { status: 'canceled', cancellation, updated_at: formatInstant(at + 13_106) });
  }
  if (size > 1) {
    // Some leave the group again; the event goes on.
    const at = settled - HOUR + 161_803;
    for (const invitee of invitees.slice(1)) {
      const cancellation = cancellationOf(invitee.name ?? invitee.email, null, 'invitee', at);
      if (random() < 0.15) factory.cancelInvitee(invitee, cancellation);
    }
  }
  return { event, invitees };
}

function sizeOf({ seed, each }: Scenario, { number, index, position }: Draft): number {
  const crowd = each < CROWD_FROM ? -1 : Math.floor(each / 2 / BLOCK) * BLOCK + 8;
  if (index === crowd) return CROWD_SIZE;
  if (GROUPS.has(position)) return between(randomOf(seed, number, 21), 2, 12);
  return position === WITHOUT_INVITEES ? 0 : 1;
}

function newEvent(scenario: Scenario, { number, start, created }: Draft, size: number): EventResource {
  const { seed, hosts, eventTypes } = scenario;
  const random = randomOf(seed, number, 31);
  const owner = hosts[number % hosts.length];
  const ofType = randomOf(seed, number, 33);
  // A quarter of the meetings has a type that was retired since.
  const retired = ofType() < 0.25;
  const kind = size > 1 ? 'group' : 'solo';
  const fitting = eventTypes.filter(
    (type) => type.owner === owner?.user.uri && type.retired === retired && type.resource.kind === kind,
  );
  const type = pick(ofType, fitting).resource;
  const location = locationBy(random);
  const event = factory.createEvent({
    id: meetingId(scenario, number),
    name: type.name,
    start,
    minutes: type.duration,
    created,
    hosts: hostsOf(scenario, number),
    eventType: type.uri,
    location,
    limit: size > 1 ? Math.max(20, size + 13) : 1,
    guests:
      random() < 0.15 ? Array.from({ length: between(random, 1, 3) }, () => personBy(random).email) : [],
    bufferMinutes: 15,
    calendar: pick(random, ['google', 'outlook', 'exchange']),
  });
  // A conference's link is pushed some seconds after the booking.
  const pushed = location.status === 'pushed' ? between(random, 2_000_000, 8_000_000) : 13_402;
  event.updated_at = formatInstant(created + pushed);
  return event;
}

/** The first invitee makes the event; the others of a group join until shortly before it. */
function newInvitee(scenario: Scenario, draft: Draft, index: number, event: EventResource): InviteeResource {
  const { number, created, settled, position } = draft;
  const random = randomOf(scenario.seed, number, 34, index);
  const person = personBy(random);
  const joined = index === 0 ? 0 : Math.floor(random() * Math.max(1, settled - 2 * HOUR - created));
  const payment = PAYMENTS.get(position);
  const submission = uriOf('routing_form_submissions', uuidOf(scenario.seed, number, 35));
  return factory.createInvitee(inviteeId(scenario, number, index), event.uri, created + joined, {
    ...person,
    questions_and_answers: random() < 0.4 ? answersBy(random) : [],
    tracking:
      random() < 0.3 ? { utm_source: 'newsletter', utm_campaign: pick(random, ['spring', 'autumn']) } : {},
    payment: payment ? { ...paymentBy(random), ...payment } : null,
    text_reminder_number: random() < 0.1 ? '+1 646 555 0182' : null,
    reconfirmation: random() < 0.05 ? { created_at: formatInstant(created), confirmed_at: null } : null,
    routing_form_submission: random() < 0.05 ? submission : null,
  });
}

function answersBy(random: Random) {
  const topic = pick(random, ['Pricing', 'Hiring', 'The roadmap']);
  const answers = [
    { question: 'What would you like to talk about?', answer: topic, position: 0 },
    { question: 'Company', answer: 'Müller & Söhne GmbH', position: 1 },
    { question: 'Which days suit you?', answer: 'Monday\nThursday', position: 2 },
  ];
  return answers.slice(0, between(random, 1, 3));
}

function paymentBy(random: Random) {
  const external_id = `ch_${uuidOf(Math.floor(random() * 1e9))
    .replaceAll('-', '')
    .slice(0, 24)}`;
  return { external_id, provider: pick(random, ['stripe', 'paypal']), currency: 'EUR', successful: true };
}

/** The meeting that the first invitee of an earlier one was moved to; later for each step. */
function movedMeeting(scenario: Scenario, draft: Draft, before: MeetingView, step: number): MeetingView {
  const invitee = before.invitees[0];
  if (!invitee) return newMeeting(scenario, draft);
  const settled = Math.min(parseInstant(before.event.start_time) ?? 0, scenario.today);
  const at = settled - (5 - step) * 6 * HOUR + (mix(scenario.seed, draft.number, 23) % 3_600_000_000);
  const id = meetingId(scenario, draft.number);
  const event = factory.rescheduledEvent(before.event, id, draft.start, at + 412_873);
  const cancellation = cancellationOf(invitee.name ?? invitee.email, 'A better day', 'invitee', at);
  const newId = inviteeId(scenario, draft.number, 0);
  factory.cancelInvitee(invitee, cancellation);
  const moved = factory.rescheduleInvitee(invitee, event, newId);
  Object.assign(before.event, { status: 'canceled', cancellation, updated_at: formatInstant(at) });
  return { event, invitees: [moved] };
}

function markNoShows({ seed, today }: Scenario, { event, invitees }: MeetingView, number: number): void {
  const at = (parseInstant(event.start_time) ?? 0) + 3 * HOUR;
  if (event.status !== 'active' || at > today) return;
  const random = randomOf(seed, number, 40);
  for (const [index, invitee] of invitees.entries()) {
    if (invitee.status !== 'active' || random() >= 0.06) continue;
    const uri = uriOf('invitee_no_shows', uuidOf(seed, number, 41, index));
    invitee.no_show = { uri, created_at: formatInstant(at + 577_215) };
  }
}

function cancellationOf(
  canceled_by: string,
  reason: string | null,
  canceler_type: 'host' | 'invitee',
  at: Micros,
): Cancellation {
  return { canceled_by, reason, canceler_type, created_at: formatInstant(at) };
}

/** The first tenth of the meetings is from the years of 16-character ids. */
function meetingId(scenario: Scenario, number: number): string {
  return isOld(scenario, number) ? shortIdOf(scenario.seed, number) : uuidOf(scenario.seed, number);
}

function inviteeId(scenario: Scenario, number: number, index: number): string {
  return (isOld(scenario, number) ? shortIdOf : uuidOf)(scenario.seed, number, 36, index);
}

const isOld = ({ each, hosts }: Scenario, number: number) => number < (each * hosts.length) / 10;

/** The hosts, owner first. One meeting in ten has a second host, never host 0, who has exactly `each` meetings. */
function hostsOf({ seed, hosts }: Scenario, number: number): Host[] {
  const owner = number % hosts.length;
  const second = (owner + 1) % hosts.length || 1;
  const shared = second !== owner && mix(seed, number, 22) % 10 === 0;
  return [hosts[owner], shared ? hosts[second] : undefined].filter((host) => host !== undefined);
}

/** Days from today at which each share of the meetings begins: mostly the past nine months and the next two. */
const SPREAD = [
  { share: 0, day: -720 },
  { share: 0.2, day: -270 },
  { share: 0.82, day: 0 },
  { share: 0.96, day: 60 },
  { share: 1, day: 180 },
];

/** The start: in office hours, on a quarter of an hour, never before that of the meeting with the next lower number. */
function startOf({ each, hosts, today }: Scenario, number: number): Micros {
  const share = (number + 0.5) / (each * hosts.length);
  const next = SPREAD.findIndex((point) => point.share >= share);
  const [from, to] = [SPREAD[next - 1], SPREAD[next]];
  if (!from || !to) return today;
  const days = from.day + ((share - from.share) / (to.share - from.share)) * (to.day - from.day);
  const day = Math.floor(days);
  const timeOfDay = 8 * HOUR + (days - day) * 10 * HOUR;
  return today + day * DAY + Math.floor(timeOfDay / (15 * MINUTE)) * 15 * MINUTE;
}
