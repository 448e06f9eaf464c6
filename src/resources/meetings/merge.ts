/**
 * How a webhook's delivery joins what is known. Deliveries come in any order, late and twice, so that neither the time of arrival
 * nor that of the delivery says which state is the later one: the content must. Whatever the order, the same rows come of it. Pure.
 */
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';
import { mergeRaw } from './rows.js';

/** Above 0: `next` is the later state of the event; below 0: the earlier one; 0: the content does not say. */
export function compareEvents(next: Json, known: Json): number {
  return (
    compareTimes(next.updated_at, known.updated_at) ||
    // Joining and leaving a group event need not move `updated_at`; but `total` only grows, and at one total `active` only falls.
    compareCounts(counter(next, 'total'), counter(known, 'total')) ||
    -compareCounts(counter(next, 'active'), counter(known, 'active')) ||
    Number(isCanceled(next)) - Number(isCanceled(known))
  );
}

/** The same for an invitee. Being canceled is final: nothing that says otherwise is later. */
function compareInvitees(next: Json, known: Json): number {
  return (
    Number(isCanceled(next)) - Number(isCanceled(known)) || compareTimes(next.updated_at, known.updated_at)
  );
}

/** The event after a delivery. */
export function mergeEvent(known: Json | null, next: Json): Json {
  if (known === null) return next;
  return join(known, next, compareEvents(next, known));
}

/** An invitee, and when the last of its no-show marks was taken back, if that is known. */
export interface InviteeState {
  raw: Json | null;
  noShowRemovedAt: string | null;
}

/**
 * The invitee after a delivery. Its no-show mark has an order of its own, because a mark moves no `updated_at`: the newest mark
 * stands, unless it was taken back after it had been made.
 */
export function mergeInvitee(known: InviteeState, next: Json, removedAt: string | null): InviteeState {
  const noShowRemovedAt = latest(known.noShowRemovedAt, removedAt);
  const order = known.raw === null ? 1 : compareInvitees(next, known.raw);
  const joined = known.raw === null ? { ...next } : join(known.raw, next, order);
  const marks = [known.raw, next].filter((raw) => raw !== null && isStanding(raw, joined, noShowRemovedAt));
  const [newest = null] = marks
    .map((raw) => raw?.no_show as Json)
    .sort((a, b) => compareTimes(b.created_at, a.created_at));
  if ('no_show' in joined) joined.no_show = newest;
  return { raw: joined, noShowRemovedAt };
}

/** True when a state has a no-show mark that nothing later took away. */
function isStanding(raw: Json, newest: Json, removedAt: string | null): boolean {
  if (!isJson(raw.no_show)) return false;
  const made = timeOf(raw.no_show.created_at);
  if (made === null) return true;
  if (removedAt !== null && made <= removedAt) return false;
  // The newest state was changed after the mark was made, and does not have it any more.
  const changed = timeOf(newest.updated_at);
  return newest.no_show !== null || changed === null || made >= changed;
}

function join(known: Json, next: Json, order: number): Json {
  if (order > 0) return mergeRaw(known, next);
  // An earlier state still tells what the later one left out; at the same age also what the other did not know yet.
  const joined: Json = { ...known };
  for (const [key, value] of Object.entries(next)) {
    const open = !(key in known) || (order === 0 && isBlank(known[key]) && !isBlank(value));
    if (open && key !== 'cancellation' && key !== 'no_show') joined[key] = value;
  }
  if (!('no_show' in known) && 'no_show' in next) joined.no_show = next.no_show;
  if (isCanceled(known) && isCanceled(next) && known.cancellation == null && next.cancellation != null)
    joined.cancellation = next.cancellation;
  if (Array.isArray(known.event_memberships) && Array.isArray(next.event_memberships)) {
    const others = new Map(next.event_memberships.filter(isJson).map((one) => [one.user, one]));
    joined.event_memberships = known.event_memberships.map((one) =>
      isJson(one) && one.user != null ? { ...others.get(one.user), ...one } : one,
    );
  }
  return joined;
}

function counter(event: Json, name: 'total' | 'active'): unknown {
  return isJson(event.invitees_counter) ? event.invitees_counter[name] : null;
}

function compareTimes(a: unknown, b: unknown): number {
  const [one, other] = [timeOf(a), timeOf(b)];
  if (one === null || other === null || one === other) return 0;
  return one < other ? -1 : 1;
}

function compareCounts(a: unknown, b: unknown): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : 0;
}

function timeOf(value: unknown): string | null {
  return typeof value === 'string' ? canonicalTimestamp(value) : null;
}

function latest(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}

function isCanceled({ status }: Json): boolean {
  return status === 'canceled';
}

function isBlank(value: unknown): boolean {
  return value === null || value === undefined || value === false;
}
