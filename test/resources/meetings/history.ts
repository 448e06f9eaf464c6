/**
 * Random histories of one meeting as Calendly goes through them: after each step the state that a request returns, and
 * the deliveries that the step sends.
 */
import fc from 'fast-check';
import type { Observation } from '../../../src/resources/meetings/diff.js';

export type Loose = Record<string, unknown>;

const API = 'https://api.calendly.com';
export const EVENT_URI = `${API}/scheduled_events/EVENT0001`;
export const HOST_URI = `${API}/users/HOST0001`;
const START = Date.parse('2026-02-01T08:00:00Z');

/** What Calendly returns at one moment. */
export interface Snapshot {
  event: Loose;
  invitees: Loose[];
}

export interface History {
  /** The state after the booking and after each step. */
  snapshots: Snapshot[];
  deliveries: Observation[];
}

interface Step {
  kind: 'join' | 'leave' | 'cancel' | 'push_link' | 'move' | 'mark' | 'unmark';
  /** Which invitee. */
  guest: number;
  /** The step moves the event's `updated_at`, where Calendly does not document that. */
  touches: boolean;
  /** Time since the step before, in µs. */
  wait: number;
}

export interface HistoryOptions {
  /** Fraction digits of every time. */
  digits: 0 | 6;
  /** The host may move the location without moving `updated_at`. */
  silentMoves?: boolean;
}

/** Histories of a group event. What only a clock can tell apart is a second apart if times are whole seconds. */
export function histories({ digits, silentMoves = false }: HistoryOptions): fc.Arbitrary<History> {
  const step = fc.record({
    kind: fc.constantFrom<Step['kind']>(
      'join',
      'join',
      'leave',
      'cancel',
      'push_link',
      'move',
      'mark',
      'unmark',
    ),
    guest: fc.nat({ max: 5 }),
    touches: fc.boolean(),
    wait: fc.integer({ min: 1, max: 1_500_000 }),
  });
  return fc.array(step, { maxLength: 9 }).map((steps) => historyOf(steps, digits, silentMoves));
}

function historyOf(steps: Step[], digits: 0 | 6, silentMoves: boolean): History {
  let micros = 0;
  const now = () => {
    const fraction = digits === 0 ? '' : `.${String(micros % 1_000_000).padStart(6, '0')}`;
    return new Date(START + Math.floor(micros / 1_000_000) * 1_000)
      .toISOString()
      .replace(/\.\d+Z/, `${fraction}Z`);
  };
  const counter = { total: 0, active: 0, limit: 20 };
  const event: Loose = {
    uri: EVENT_URI,
    name: 'Group',
    status: 'active',
    start_time: '2026-03-01T10:00:00.000000Z',
    end_time: '2026-03-01T11:00:00.000000Z',
    event_type: `${API}/event_types/TYPE0001`,
    location: { type: 'zoom', status: 'initiated', join_url: null },
    invitees_counter: counter,
    created_at: now(),
    updated_at: now(),
    event_memberships: [{ user: HOST_URI, user_email: 'host@example.com', buffered_start_time: 'early' }],
    calendar_event: { kind: 'google', external_id: 'g1' },
  };
  const guests: Loose[] = [];
  const snapshots: Snapshot[] = [];
  const deliveries: Observation[] = [];

  const deliver = (guest: Loose, noShowRemovedAt: string | null = null) => {
    const { calendar_event: _calendar, ...abridged } = structuredClone(event);
    abridged.event_memberships = [{ user: HOST_URI, user_email: 'host@example.com' }];
    deliveries.push({
      uri: EVENT_URI,
      event: abridged,
      invitees: [structuredClone(guest)],
      source: 'webhook',
      requestedAt: null,
      noShowRemovedAt: noShowRemovedAt && canonical(noShowRemovedAt),
    });
  };
  const join = () => {
    const uri = `${EVENT_URI}/invitees/GUEST${guests.length}`;
    const times = { created_at: now(), updated_at: now() };
    const guest = {
      uri,
      email: 'a@example.com',
      name: 'Ada',
      status: 'active',
      event: EVENT_URI,
      ...times,
      no_show: null,
    };
    guests.push(guest);
    counter.total++;
    counter.active++;
    deliver(guest);
  };
  const leave = (guest: Loose) => {
    const cancellation = { canceled_by: 'Ada', reason: null, created_at: now() };
    Object.assign(guest, { status: 'canceled', updated_at: now(), cancellation });
    counter.active--;
  };
  const take = ({ kind, guest: index, touches, wait }: Step, order: number) => {
    const guest = guests[index % guests.length] ?? {};
    const isPresent = guest.status === 'active';
    // Whole seconds cannot tell the order of these.
    const needsClock = digits === 0 && ['move', 'mark', 'unmark'].includes(kind);
    micros += needsClock ? 1_000_000 : wait;
    const touch = () => {
      if (touches) event.updated_at = now();
    };
    if (kind === 'mark' && isPresent && guest.no_show === null) {
      guest.no_show = { uri: `${API}/invitee_no_shows/${order}`, created_at: now() };
      deliver(guest);
    } else if (kind === 'unmark' && guest.no_show !== null) {
      guest.no_show = null;
      deliver(guest, now());
    } else if (event.status !== 'active') {
      return;
    } else if (kind === 'join') {
      touch();
      join();
    } else if (kind === 'leave' && isPresent) {
      touch();
      leave(guest);
      deliver(guest);
    } else if (kind === 'push_link' && (event.location as Loose).status === 'initiated') {
      touch();
      event.location = { type: 'zoom', status: 'pushed', join_url: 'https://zoom.example/1' };
    } else if (kind === 'move') {
      if (!silentMoves) event.updated_at = now();
      event.location = { type: 'physical', location: `Room ${order}` };
    } else if (kind === 'cancel') {
      const leaving = guests.filter(({ status }) => status === 'active');
      for (const one of leaving) leave(one);
      const cancellation = { canceled_by: 'Host', reason: null, created_at: now() };
      Object.assign(event, { status: 'canceled', updated_at: now(), cancellation });
      for (const one of leaving) deliver(one);
    }
    if (needsClock) micros += 1_000_000;
  };
  const record = () => snapshots.push(structuredClone({ event, invitees: guests }));

  join();
  record();
  for (const [order, step] of steps.entries()) {
    take(step, order);
    record();
  }
  return { snapshots, deliveries };
}

function canonical(time: string): string {
  return time.includes('.') ? time : time.replace('Z', '.000000Z');
}
