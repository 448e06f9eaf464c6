/**
 * What people do with meetings: book, cancel, reschedule, join, leave, stay away. Works on the store; each change that
 * Calendly would send a webhook for is announced. Knows no HTTP.
 */

import { type GuestOrder, type Order, OrderError } from './commands.js';
import { idOf, uuidOf } from './identifiers.js';
import { inviteeUri, noShowMark } from './invitee.js';
import { type Meeting, meetingId, recount } from './meeting.js';
import { formatInstant } from './microseconds.js';
import { createEvent, createGuest, instantOf, movedEvent, movedInvitee } from './new-event.js';
import type { Host } from './people.js';
import { randomOf } from './random.js';
import type { Cancellation, EventResource, InviteeResource } from './resources.js';
import type { World } from './state.js';

/** A change that webhooks tell of. */
export interface Change {
  kind: 'invitee.created' | 'invitee.canceled' | 'invitee_no_show.created' | 'invitee_no_show.deleted';
  event: EventResource;
  invitee: InviteeResource;
}

/** A meeting as the API would show it. */
export interface MeetingView {
  event: EventResource;
  invitees: InviteeResource[];
}

export interface Agenda {
  book(order: Order<'book'>): MeetingView;
  cancel(order: Order<'cancel'>): MeetingView;
  reschedule(order: Order<'reschedule'>): { old: MeetingView; new: MeetingView };
  join(order: Order<'join'>): MeetingView;
  leave(order: Order<'leave'>): MeetingView;
  noShow(order: Order<'noShow'>): MeetingView;
  edit(order: Order<'edit'>): MeetingView;
  setVisibility(event: string, visibility: Meeting['visibility']): MeetingView;
}

/** @param announce hears of each change, with copies of what it is about */
export function createAgenda(world: World, seed: number, announce: (change: Change) => void): Agenda {
  const { store, clock } = world;
  const random = randomOf(seed, 701);
  let counter = 0;
  const newId = () => uuidOf(seed, 702, counter++);

  const tell = (kind: Change['kind'], { event }: Meeting, ...invitees: InviteeResource[]) => {
    for (const invitee of invitees) announce(structuredClone({ kind, event, invitee }));
  };
  const change = (event: string, alter: (meeting: Meeting) => void): Meeting => {
    const meeting = store.change(idOf(event), alter);
    if (!meeting) throw new OrderError(`There is no event ${event}`);
    return meeting;
  };
  /** Cancels some invitees, and the event when nobody is left. */
  const withdraw = (
    meeting: Meeting,
    leaving: InviteeResource[],
    cancellation: Cancellation,
    touch: boolean,
  ) => {
    const { event, invitees } = meeting;
    for (const invitee of leaving) {
      Object.assign(invitee, { status: 'canceled', cancellation, updated_at: cancellation.created_at });
    }
    recount(meeting);
    const over = !invitees.some(({ status }) => status === 'active');
    if (over) Object.assign(event, { status: 'canceled', cancellation });
    if (over || touch) event.updated_at = formatInstant(clock.stamp());
  };
  const cancellationBy = (
    { event }: Meeting,
    by: 'host' | 'invitee',
    reason: string | null,
    invitee?: InviteeResource,
  ): Cancellation => ({
    canceled_by: (by === 'host' ? event.event_memberships[0]?.user_name : invitee?.name) ?? 'Somebody',
    reason,
    canceler_type: by,
    created_at: formatInstant(clock.stamp()),
  });

  const agenda: Agenda = {
    book(order) {
      const hosts = [order.host, ...order.with].map((name) => hostNamed(world, name));
      const created = order.created === undefined ? clock.stamp() : instantOf(order.created, clock.now());
      const event = createEvent(order, hosts, {
        id: newId(),
        created,
        now: clock.now(),
        catalog: world.catalog,
        random,
      });
      const meeting = store.add({ start: 0, event, invitees: [], visibility: 'visible' });
      const orders = typeof order.invitees === 'number' ? Array(order.invitees).fill({}) : order.invitees;
      for (const guest of orders as GuestOrder[]) {
        meeting.invitees.push(createGuest(guest, event.uri, newId(), created, random));
      }
      recount(meeting);
      tell('invitee.created', meeting, ...meeting.invitees);
      return view(meeting);
    },
    cancel({ event, by, reason }) {
      let leaving: InviteeResource[] = [];
      const meeting = change(event, (changed) => {
        leaving = active(changed);
        if (changed.event.status === 'canceled') throw new OrderError(`${event} is canceled already`);
        withdraw(changed, leaving, cancellationBy(changed, by, reason, leaving[0]), true);
      });
      tell('invitee.canceled', meeting, ...leaving);
      return view(meeting);
    },
    reschedule({ event, invitee, start, by, reason }) {
      let leaving: InviteeResource[] = [];
      const old = change(event, (meeting) => {
        leaving = invitee === undefined ? active(meeting) : [inviteeNamed(meeting, invitee)];
        if (leaving.length === 0) throw new OrderError(`${event} has no active invitee`);
        withdraw(meeting, leaving, cancellationBy(meeting, by, reason, leaving[0]), false);
      });
      const moved = store.add({ ...movedEvent(old, newId(), instantOf(start, clock.now()), clock.stamp()) });
      for (const before of leaving) {
        const after = movedInvitee(before, moved.event, newId());
        Object.assign(before, { rescheduled: true, new_invitee: after.uri });
        moved.invitees.push(after);
      }
      recount(moved);
      tell('invitee.canceled', old, ...leaving);
      tell('invitee.created', moved, ...moved.invitees);
      return { old: view(old), new: view(moved) };
    },
    join({ event, invitee, touch }) {
      const meeting = change(event, (changed) => {
        const at = clock.stamp();
        changed.invitees.push(createGuest(invitee, changed.event.uri, newId(), at, random));
        recount(changed);
        if (touch) changed.event.updated_at = formatInstant(at);
      });
      tell('invitee.created', meeting, ...meeting.invitees.slice(-1));
      return view(meeting);
    },
    leave({ event, invitee, reason, touch }) {
      let leaving: InviteeResource[] = [];
      const meeting = change(event, (changed) => {
        leaving = invitee === undefined ? active(changed).slice(-1) : [inviteeNamed(changed, invitee)];
        if (leaving.length === 0) throw new OrderError(`${event} has no active invitee`);
        withdraw(changed, leaving, cancellationBy(changed, 'invitee', reason, leaving[0]), touch);
      });
      tell('invitee.canceled', meeting, ...leaving);
      return view(meeting);
    },
    noShow({ event, invitee, marked }) {
      let concerned: InviteeResource[] = [];
      const meeting = change(event, (changed) => {
        concerned = invitee === undefined ? active(changed) : [inviteeNamed(changed, invitee)];
        for (const one of concerned) one.no_show = marked ? noShowMark(newId(), clock.stamp()) : null;
      });
      tell(marked ? 'invitee_no_show.created' : 'invitee_no_show.deleted', meeting, ...concerned);
      return view(meeting);
    },
    edit({ event, invitee, set, unset, touch }) {
      const meeting = change(event, (changed) => {
        const edited: Record<string, unknown> =
          invitee === undefined ? changed.event : inviteeNamed(changed, invitee);
        if (touch) edited.updated_at = formatInstant(clock.stamp());
        Object.assign(edited, structuredClone(set));
        for (const field of unset) delete edited[field];
      });
      return view(meeting);
    },
    setVisibility: (event, visibility) =>
      view(
        change(event, (meeting) => {
          meeting.visibility = visibility;
        }),
      ),
  };
  return agenda;
}

/** A copy of the meeting for the world outside. */
export function view({ event, invitees }: Meeting): MeetingView {
  return structuredClone({ event, invitees });
}

/** The host with this number, e-mail or URI. @throws OrderError */
export function hostNamed({ organization }: World, name: number | string): Host {
  const { hosts } = organization;
  const found =
    typeof name === 'number'
      ? hosts[name]
      : hosts.find(({ user }) => user.uri === name || user.email === name || user.slug === name);
  if (!found) throw new OrderError(`There is no host ${name}; there are ${hosts.length}, counted from 0`);
  return found;
}

function active({ invitees }: Meeting): InviteeResource[] {
  return invitees.filter(({ status }) => status === 'active');
}

function inviteeNamed(meeting: Meeting, name: string): InviteeResource {
  const found = meeting.invitees.find(
    ({ uri, email }) => uri === name || uri === inviteeUri(meeting.event.uri, name) || email === name,
  );
  if (!found) throw new OrderError(`${meetingId(meeting)} has no invitee ${name}`);
  return found;
}
