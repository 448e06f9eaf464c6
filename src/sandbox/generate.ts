/**
 * Generates the meetings that an account starts with, by letting people book, join, cancel and reschedule at earlier
 * times. Meeting N is the N-th in time, the hosts take turns, and its position in a block of forty of its host's
 * meetings decides what becomes of it, so that a few hundred show everything. The same for the same seed and day.
 */
import { activeOf, book, cancel, join, markNoShows, reschedule } from './bookings.js';
import { applyEdgeCase } from './edge-cases.js';
import type { Meeting } from './meetings.js';
import { uriOf } from './organization.js';
import { between, hexBy, pick, type Random, shortIdBy, uuidBy } from './random.js';
import type { Guest } from './resources.js';
import { locationBy, personBy } from './samples.js';
import { createState, type State, type StateOptions } from './state.js';
import { DAY, formatInstant, HOUR, instantOf, MINUTE, type Micros, SECOND } from './time.js';

export interface AccountOptions extends StateOptions {
  /** Generated meetings of each host; 250 by default. Host 0 sees exactly so many. 100,000 in all fit in memory. */
  events?: number;
}

const BLOCK = 40;
/** Where a booking was moved from, by the position that it was moved to. */
const MOVED_FROM: Record<number, number> = { 9: 3, 21: 14, 28: 21 };
const CANCELED: Record<number, 'host' | 'invitee'> = { 1: 'invitee', 24: 'host' };
const REASONS = [null, '', 'Something came up', 'Double booked', 'Krank 🤒 '];
const GROUPS = [6, 16, 26, 36];
/** More invitees than a page holds, once for each host. */
const CROWD = { index: 88, size: 137 };
const WITHOUT_INVITEES = 39;
const EDGE_CASES = [12, 23, 30, 34];
/** Calendly answers amounts as numbers, and some as text. */
const PAYMENTS: Record<number, Guest['payment']> = {
  18: { amount: 49.5, terms: null, successful: true },
  32: { amount: '120.00', terms: 'Refundable until the day before.', successful: true },
};
const ANSWERS = [
  { question: 'What would you like to talk about?', answer: 'Pricing', position: 0 },
  { question: 'Company', answer: 'Müller & Söhne GmbH', position: 1 },
  { question: 'Which days suit you?', answer: 'Monday\nThursday', position: 2 },
];

/** Where a meeting stands. `settled`: the latest time at which something may have happened to it. */
interface Slot {
  number: number;
  /** Among the meetings of its host, and in its block. */
  index: number;
  position: number;
  start: Micros;
  settled: Micros;
  isOld: boolean;
}

/** Creates a sandbox's state with meetings of each host, in the order of their start. */
export function generateAccount({ events = 250, ...options }: AccountOptions = {}): State {
  const state = createState(options);
  const hosts = state.organization.hosts.length;
  const today = Math.floor(state.clock.now() / DAY) * DAY;
  const meetings: Meeting[] = [];
  for (let number = 0; number < events * hosts; number++) {
    const index = Math.floor(number / hosts);
    const position = index % BLOCK;
    const share = (number + 0.5) / (events * hosts);
    const start = startOf(today, share);
    const slot = { number, index, position, start, settled: Math.min(start, today), isOld: share < 0.1 };
    const before = meetings[number - (position - (MOVED_FROM[position] ?? Number.NaN)) * hosts];
    const meeting = before ? moveMeeting(state, slot, before) : bookMeeting(state, slot);
    const edgeCase = EDGE_CASES.indexOf(position);
    if (edgeCase >= 0) applyEdgeCase(meeting, Math.floor(index / BLOCK) * EDGE_CASES.length + edgeCase);
    meetings.push(meeting);
  }
  return state;
}

function bookMeeting(state: State, { number, index, position, start, settled, isOld }: Slot): Meeting {
  const { random, clock, organization } = state;
  const { hosts, eventTypes } = organization;
  const size = sizeOf(random, index, position);
  const owner = number % hosts.length;
  // One meeting in ten has a second host, never host 0, who has exactly as many meetings as asked for.
  const second = random() < 0.1 ? (owner + 1) % hosts.length || 1 : owner;
  const kind = size > 1 ? 'group' : 'solo';
  const types = eventTypes.filter(
    (type) => type.owner === hosts[owner]?.user.uri && type.resource.kind === kind,
  );
  const type = pick(random, types).resource;
  const location = locationBy(random);
  const facts = {
    id: (isOld ? shortIdBy : uuidBy)(random),
    name: type.name,
    start,
    minutes: type.duration,
    hosts: hosts.filter((_, host) => host === owner || host === second),
    event_type: type.uri,
    location,
    limit: size > 1 ? size + 13 : 1,
    guests: random() < 0.15 ? [personBy(random).email, personBy(random).email] : [],
  };
  const created = settled - between(random, 2 * DAY, 22 * DAY);
  const guests = Array.from({ length: size }, () => guestBy(random, created, PAYMENTS[position]));
  const meeting = clock.at(created, () => book(state, facts, guests.slice(0, 1)));
  // A conference's link is pushed some seconds after the booking.
  const pushed = created + between(random, 2 * SECOND, 8 * SECOND);
  if (location.status === 'pushed') meeting.event.updated_at = formatInstant(pushed);
  for (const guest of guests.slice(1)) {
    clock.at(between(random, created, settled - 2 * HOUR), () => join(state, meeting, guest, false));
  }
  // Some leave a group again; the event goes on.
  const leaving = meeting.invitees.slice(1).filter(() => random() < 0.15);
  const reason = pick(random, REASONS);
  if (leaving.length > 0)
    clock.at(settled - HOUR, () => cancel(state, meeting, leaving, { by: 'invitee', reason }));
  const by = CANCELED[position];
  const canceled = settled - between(random, 30 * MINUTE, 22 * HOUR);
  if (by) clock.at(canceled, () => cancel(state, meeting, activeOf(meeting), { by, reason }));
  const missing = activeOf(meeting).filter(() => random() < 0.06);
  const isMoved = Object.values(MOVED_FROM).includes(position);
  if (settled === start && !isMoved) clock.at(start + HOUR, () => markNoShows(state, meeting, missing, true));
  return meeting;
}

/** Moves an earlier meeting to this slot, about a day before it would have begun. */
function moveMeeting(state: State, { start, settled }: Slot, before: Meeting): Meeting {
  const at = Math.min(before.start, settled) - between(state.random, 12 * HOUR, 24 * HOUR);
  const how = { by: 'invitee', reason: 'A better day' } as const;
  return state.clock.at(Math.max(at, instantOf(before.event.created_at) + HOUR), () =>
    reschedule(state, before, activeOf(before), start, how),
  );
}

function sizeOf(random: Random, index: number, position: number): number {
  if (index === CROWD.index) return CROWD.size;
  if (GROUPS.includes(position)) return between(random, 2, 12);
  return position === WITHOUT_INVITEES ? 0 : 1;
}

function guestBy(random: Random, created: Micros, payment: Guest['payment'] = null): Guest {
  const asked = { created_at: formatInstant(created), confirmed_at: null };
  return {
    questions_and_answers: ANSWERS.slice(0, between(random, 0, 3)),
    tracking:
      random() < 0.3 ? { utm_source: 'newsletter', utm_campaign: pick(random, ['spring', 'autumn']) } : {},
    payment: payment && {
      external_id: `ch_${hexBy(random)}`,
      provider: 'stripe',
      currency: 'EUR',
      ...payment,
    },
    text_reminder_number: random() < 0.1 ? '+1 646 555 0182' : null,
    reconfirmation: random() < 0.05 ? asked : null,
    routing_form_submission: random() < 0.05 ? uriOf('routing_form_submissions', uuidBy(random)) : null,
  };
}

/** The start at this share of all meetings, on a quarter of an hour: four fifths lie in the past two years. */
function startOf(today: Micros, share: number): Micros {
  const days = share < 0.8 ? -720 * (1 - share / 0.8) ** 2 : 180 * (share / 0.2 - 4) ** 2;
  return today + Math.floor((days * DAY) / (15 * MINUTE)) * 15 * MINUTE;
}
