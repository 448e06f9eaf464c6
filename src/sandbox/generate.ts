/**
 * Generates the meetings that an organization starts with. Meeting N is the N-th in time, the hosts take turns, and
 * its position in a block of forty of its host's meetings decides what becomes of it, so that a few hundred show
 * everything. The same for the same seed; knows no store.
 */
import { applyEdgeCase } from './edge-cases.js';
import { type Organization, uriOf } from './organization.js';
import { between, mix, pick, type Random, randomOf, shortIdOf, uuidOf } from './random.js';
import type { EventResource, MeetingView } from './resources.js';
import * as resources from './resources.js';
import { locationBy, personBy } from './samples.js';
import { DAY, formatInstant, HOUR, instantOf, MINUTE, type Micros } from './time.js';

interface Scenario extends Pick<Organization, 'hosts' | 'eventTypes'> {
  seed: number;
  /** How many meetings each host owns. */
  each: number;
  /** Midnight (UTC) of the current day. */
  today: Micros;
}

const BLOCK = 40;
/** Positions within a block that one booking is moved through. */
const CHAINS = [
  [3, 9],
  [14, 21, 28],
];
const CANCELED: Record<number, 'host' | 'invitee'> = { 1: 'invitee', 24: 'host' };
const GROUPS = [6, 16, 26, 36];
const WITHOUT_INVITEES = 39;
const EDGE_CASES = [12, 23, 30, 34];
/** Calendly answers amounts as numbers, and some as text. */
const PAYMENTS: Record<number, { amount: number | string; terms: string | null }> = {
  18: { amount: 49.5, terms: null },
  32: { amount: '120.00', terms: 'Refundable until the day before.' },
};
/** From this many meetings on, each host has one with more invitees than a page holds. */
const CROWD_FROM = 200;
const CROWD_SIZE = 137;

/** Generates all meetings in the order of their start. */
export function generateMeetings(scenario: Scenario): MeetingView[] {
  const { each, hosts } = scenario;
  const meetings: MeetingView[] = [];
  for (let number = 0; number < each * hosts.length; number++) {
    const draft = draftOf(scenario, number);
    const { index, position } = draft;
    const chain = CHAINS.find((positions) => positions.includes(position)) ?? [];
    const step = chain.indexOf(position);
    const before = meetings[number - (position - (chain[step - 1] ?? Number.NaN)) * hosts.length];
    const meeting = before ? movedMeeting(draft, before, step) : newMeeting(draft);
    markNoShows(draft, meeting);
    resources.recount(meeting);
    const edgeCase = EDGE_CASES.indexOf(position);
    if (edgeCase >= 0) applyEdgeCase(meeting, Math.floor(index / BLOCK) * EDGE_CASES.length + edgeCase);
    // Parsed JSON takes half the memory of objects and strings that were put together from pieces.
    meetings.push(JSON.parse(JSON.stringify(meeting)) as MeetingView);
  }
  return meetings;
}

type Draft = ReturnType<typeof draftOf>;

/** What is decided of a meeting first. `settled`: the latest time at which something may have happened to it. */
function draftOf(scenario: Scenario, number: number) {
  const index = Math.floor(number / scenario.hosts.length);
  const start = startOf(scenario, number);
  const settled = Math.min(start, scenario.today);
  const created = settled - 2 * DAY - Math.floor(randomOf(scenario.seed, number, 24)() * 20 * DAY);
  return { ...scenario, number, index, position: index % BLOCK, start, settled, created };
}

function newMeeting(draft: Draft): MeetingView {
  const { seed, number, position, settled } = draft;
  const size = sizeOf(draft);
  const event: EventResource = newEvent(draft, size);
  const invitees = Array.from({ length: size }, (_, index) => newInvitee(draft, index, event.uri));
  const random = randomOf(seed, number, 38);
  const by = CANCELED[position];
  if (by) {
    const at = settled - between(random, 1_800, 80_000) * 1_000_000 + 271_828;
    const who = by === 'host' ? event.event_memberships[0]?.user_name : invitees[0]?.name;
    const reason = random() < 0.5 ? null : pick(random, ['Something came up', 'Double booked', 'Krank 🤒 ']);
    const cancellation = {
      canceled_by: who ?? 'Somebody',
      reason,
      canceler_type: by,
      created_at: formatInstant(at),
    };
    for (const invitee of invitees) resources.cancelInvitee(invitee, cancellation);
    Object.assign(event, { status: 'canceled', cancellation, updated_at: formatInstant(at + 13_106) });
  }
  // Some leave a group again; the event goes on.
  for (const invitee of invitees.slice(1)) {
    const at = settled - HOUR + 161_803;
    if (random() < 0.15) resources.cancelInvitee(invitee, byInvitee(invitee, null, at));
  }
  return { event, invitees };
}

function sizeOf({ seed, each, number, index, position }: Draft): number {
  const crowd = each < CROWD_FROM ? -1 : Math.floor(each / 2 / BLOCK) * BLOCK + 8;
  if (index === crowd) return CROWD_SIZE;
  if (GROUPS.includes(position)) return between(randomOf(seed, number, 21), 2, 12);
  return position === WITHOUT_INVITEES ? 0 : 1;
}

function newEvent(draft: Draft, size: number) {
  const { seed, hosts, eventTypes, number, start, created } = draft;
  const random = randomOf(seed, number, 31);
  const ofType = randomOf(seed, number, 33);
  const owner = hosts[number % hosts.length]?.user.uri;
  // A quarter of the meetings has a type that was retired since.
  const retired = ofType() < 0.25;
  const kind = size > 1 ? 'group' : 'solo';
  const fitting = eventTypes.filter(
    (type) => type.owner === owner && type.retired === retired && type.resource.kind === kind,
  );
  const type = pick(ofType, fitting).resource;
  const location = locationBy(random);
  const guests = random() < 0.15 ? between(random, 1, 3) : 0;
  const event = resources.createEvent({
    id: idOf(draft, number),
    name: type.name,
    start,
    minutes: type.duration,
    created_at: formatInstant(created),
    hosts: hostsOf(draft),
    event_type: type.uri,
    location,
    limit: size > 1 ? Math.max(20, size + 13) : 1,
    guests: Array.from({ length: guests }, () => personBy(random).email),
    bufferMinutes: 15,
    calendar: pick(random, ['google', 'outlook', 'exchange']),
  });
  // A conference's link is pushed some seconds after the booking.
  const pushed = location.status === 'pushed' ? between(random, 2_000_000, 8_000_000) : 13_402;
  return { ...event, updated_at: formatInstant(created + pushed) };
}

/** The first invitee makes the event; the others of a group join until shortly before it. */
function newInvitee(draft: Draft, index: number, event: string) {
  const { seed, number, created, settled, position } = draft;
  const random = randomOf(seed, number, 34, index);
  const person = personBy(random);
  const joined = index === 0 ? 0 : Math.floor(random() * Math.max(1, settled - 2 * HOUR - created));
  const payment = PAYMENTS[position];
  return resources.createInvitee(idOf(draft, number, 36, index), event, formatInstant(created + joined), {
    ...person,
    questions_and_answers: random() < 0.4 ? answersBy(random) : [],
    tracking:
      random() < 0.3 ? { utm_source: 'newsletter', utm_campaign: pick(random, ['spring', 'autumn']) } : {},
    payment: payment ? { ...paymentBy(random), ...payment } : null,
    text_reminder_number: random() < 0.1 ? '+1 646 555 0182' : null,
    reconfirmation: random() < 0.05 ? { created_at: formatInstant(created), confirmed_at: null } : null,
    routing_form_submission:
      random() < 0.05 ? uriOf('routing_form_submissions', uuidOf(seed, number, 35)) : null,
  });
}

function answersBy(random: Random) {
  const answers = [
    ['What would you like to talk about?', pick(random, ['Pricing', 'Hiring', 'The roadmap'])],
    ['Company', 'Müller & Söhne GmbH'],
    ['Which days suit you?', 'Monday\nThursday'],
  ];
  const given = answers.slice(0, between(random, 1, 3));
  return given.map(([question = '', answer = ''], position) => ({ question, answer, position }));
}

function paymentBy(random: Random) {
  const id = uuidOf(Math.floor(random() * 1e9)).replaceAll('-', '');
  const provider = pick(random, ['stripe', 'paypal']);
  return { external_id: `ch_${id.slice(0, 24)}`, provider, currency: 'EUR', successful: true };
}

/** The meeting that the first invitee of an earlier one was moved to; later for each step. */
function movedMeeting(draft: Draft, before: MeetingView, step: number): MeetingView {
  const { seed, number, start, today } = draft;
  const [invitee] = before.invitees;
  if (!invitee) return newMeeting(draft);
  const settled = Math.min(instantOf(before.event.start_time), today);
  const at = settled - (5 - step) * 6 * HOUR + (mix(seed, number, 23) % 3_600_000_000);
  const moved = formatInstant(at + 412_873);
  const event = resources.rescheduledEvent(before.event, idOf(draft, number), start, moved);
  const cancellation = byInvitee(invitee, 'A better day', at);
  resources.cancelInvitee(invitee, cancellation);
  const invitees = [resources.rescheduleInvitee(invitee, event, idOf(draft, number, 36, 0))];
  Object.assign(before.event, { status: 'canceled', cancellation, updated_at: formatInstant(at) });
  // Nobody misses a meeting that was moved.
  invitee.no_show = null;
  resources.recount(before);
  return { event, invitees };
}

function markNoShows({ seed, number, start, today }: Draft, { event, invitees }: MeetingView): void {
  const at = start + 3 * HOUR;
  if (event.status !== 'active' || at > today) return;
  const random = randomOf(seed, number, 40);
  for (const [index, invitee] of invitees.entries()) {
    if (invitee.status !== 'active' || random() >= 0.06) continue;
    const uri = uriOf('invitee_no_shows', uuidOf(seed, number, 41, index));
    invitee.no_show = { uri, created_at: formatInstant(at + 577_215) };
  }
}

function byInvitee({ name }: { name: string | null }, reason: string | null, at: Micros) {
  const canceler_type = 'invitee' as const;
  return { canceled_by: name ?? 'Somebody', reason, canceler_type, created_at: formatInstant(at) };
}

/** The first tenth of the meetings is from the years of 16-character ids. */
function idOf({ seed, each, hosts, number }: Draft, ...parts: number[]): string {
  const isOld = number < (each * hosts.length) / 10;
  return (isOld ? shortIdOf : uuidOf)(seed, ...parts);
}

/** The hosts, owner first. One meeting in ten has a second host, never host 0, who has exactly `each` meetings. */
function hostsOf({ seed, hosts, number }: Draft) {
  const owner = number % hosts.length;
  const second = (owner + 1) % hosts.length || 1;
  const isShared = second !== owner && mix(seed, number, 22) % 10 === 0;
  return (isShared ? [owner, second] : [owner]).flatMap((index) => hosts[index] ?? []);
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
