/**
 * What generated meeting number N is: when it starts, who hosts it, what became of it. A meeting's number is its place
 * in time; the hosts take turns. The part it plays is given by its place in blocks of forty of its host's meetings, so
 * that even a few hundred show everything and a million need no table. Pure.
 */
import { DAY, HOUR, MINUTE, type Micros } from './microseconds.js';
import { between, mix, randomOf } from './random.js';

export interface Frame {
  seed: number;
  /** How many meetings each host has. */
  each: number;
  hosts: number;
  /** Midnight (UTC) of the day that counts as today. */
  today: Micros;
}

/** How many meetings there are in all. */
export const totalOf = ({ each, hosts }: Frame): number => each * hosts;

/** The meeting's place among those of its host. */
const indexOf = ({ hosts }: Frame, number: number): number => Math.floor(number / hosts);

export type Part =
  | { kind: 'plain' }
  | { kind: 'canceled'; by: 'host' | 'invitee' }
  | { kind: 'group'; size: number }
  | { kind: 'empty' };

const BLOCK = 40;
/** Numbers within a block that one booking went through, each rescheduled to the next. */
const CHAINS = [
  [3, 9],
  [14, 21, 28],
] as const;
const CANCELED = new Map<number, 'host' | 'invitee'>([
  [1, 'invitee'],
  [24, 'host'],
]);
const GROUPS = new Set([6, 16, 26, 36]);
const EMPTY = 39;
const ODD = [12, 23, 30, 34] as const;
/** From this many meetings on there is one with more invitees than a page holds. */
const CROWD_FROM = 200;
const CROWD_SIZE = 137;

/** What became of the meeting, apart from rescheduling. */
export function partOf(frame: Frame, number: number): Part {
  const index = indexOf(frame, number);
  const position = index % BLOCK;
  if (index === crowdIndex(frame)) return { kind: 'group', size: CROWD_SIZE };
  const by = CANCELED.get(position);
  if (by) return { kind: 'canceled', by };
  if (GROUPS.has(position)) {
    return { kind: 'group', size: between(randomOf(frame.seed, number, 21), 2, 12) };
  }
  return position === EMPTY ? { kind: 'empty' } : { kind: 'plain' };
}

function crowdIndex({ each }: Frame): number {
  // About the middle, on a position without any other part.
  return each < CROWD_FROM ? -1 : Math.floor(each / 2 / BLOCK) * BLOCK + 8;
}

/** Where the meeting stands in a chain of reschedules. */
export interface Chained {
  /** The first meeting of the chain: its host, people and type are those of all. */
  root: number;
  /** How many meetings of the chain came before. */
  step: number;
  previous: number | null;
  next: number | null;
}

/** The meeting's chain; one that was never rescheduled is a chain of its own. */
export function chainOf(frame: Frame, number: number): Chained {
  const index = indexOf(frame, number);
  const position = index % BLOCK;
  const at = (other: number) => number + (other - position) * frame.hosts;
  for (const chain of CHAINS) {
    const step = (chain as readonly number[]).indexOf(position);
    if (step < 0) continue;
    const previous = chain[step - 1];
    const next = chain[step + 1];
    return {
      root: at(chain[0]),
      step,
      previous: previous === undefined ? null : at(previous),
      next: next === undefined || index + next - position >= frame.each ? null : at(next),
    };
  }
  return { root: number, step: 0, previous: null, next: null };
}

/** Which oddity the meeting shows, counted from 0; null for an ordinary one. */
export function oddityOf(frame: Frame, number: number): number | null {
  const index = indexOf(frame, number);
  const ordinal = (ODD as readonly number[]).indexOf(index % BLOCK);
  return ordinal < 0 ? null : Math.floor(index / BLOCK) * ODD.length + ordinal;
}

/** How the meeting's payment gives its amount; null where nothing is paid. */
export function paymentOf(frame: Frame, number: number): 'number' | 'text' | null {
  const position = indexOf(frame, number) % BLOCK;
  return position === 18 ? 'number' : position === 32 ? 'text' : null;
}

/** Whether the meeting is from the years of 16-character ids. */
export function isOld(frame: Frame, number: number): boolean {
  return number < totalOf(frame) / 10;
}

/**
 * Host numbers of the meeting, the owner first; one in ten has a second host. That is never host 0, who has exactly
 * as many meetings as were asked for.
 */
export function hostsOf(frame: Frame, number: number): number[] {
  const { seed, hosts } = frame;
  const owner = number % hosts;
  const second = (owner + 1) % hosts || 1;
  const shared = second < hosts && second !== owner && mix(seed, chainOf(frame, number).root, 22) % 10 === 0;
  return shared ? [owner, second] : [owner];
}

/** Days from today at which each share of the meetings begins: mostly the past nine months and the next two. */
const SPREAD = [
  { share: 0, day: -720 },
  { share: 0.2, day: -270 },
  { share: 0.82, day: 0 },
  { share: 0.96, day: 60 },
  { share: 1, day: 180 },
] as const;

/** When the meeting starts: never before the meeting with the next smaller number, in office hours, on a quarter. */
export function startOf(frame: Frame, number: number): Micros {
  const share = (number + 0.5) / totalOf(frame);
  let days = 0;
  for (const [index, from] of SPREAD.entries()) {
    const to = SPREAD[index + 1];
    if (to && share >= from.share && share <= to.share) {
      days = from.day + ((share - from.share) / (to.share - from.share)) * (to.day - from.day);
      break;
    }
  }
  const day = Math.floor(days);
  const timeOfDay = 8 * HOUR + (days - day) * 10 * HOUR;
  return frame.today + day * DAY + Math.floor(timeOfDay / (15 * MINUTE)) * 15 * MINUTE;
}

/** The last instant that may already have happened to the meeting: its start, or the beginning of today. */
export function settledBy(frame: Frame, number: number): Micros {
  return Math.min(startOf(frame, number), frame.today);
}

/** When the meeting was moved to the next one of its chain; later for each step. */
export function rescheduledAt(frame: Frame, number: number): Micros {
  const { step, root } = chainOf(frame, number);
  return settledBy(frame, number) - (4 - step) * 6 * HOUR + (mix(frame.seed, root, 23) % 3_600_000_000);
}

/** When the meeting was booked. */
export function createdAt(frame: Frame, number: number): Micros {
  const { previous } = chainOf(frame, number);
  if (previous !== null) return rescheduledAt(frame, previous) + 412_873;
  const random = randomOf(frame.seed, number, 24);
  return settledBy(frame, number) - 2 * DAY - Math.floor(random() * 20 * DAY);
}
