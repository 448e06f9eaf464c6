/**
 * Merges an observed event or invitee into the stored one, as raw JSON. A polled state replaces the stored
 * one unless it is older. Webhook deliveries may arrive late, twice and out of order, so recency is decided
 * by content, not by arrival time: that merge is commutative and idempotent. Pure.
 */
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';

/**
 * Merges a state that Calendly returned to a request; null if the stored state stands.
 * @param contested the stored state was written after the request was sent: of two states of the same age it
 *   is the later one
 */
export function mergePolled(known: Json | null, next: Json, contested: boolean): Json | null {
  if (known === null) return next;
  const order = compareTimes(next.updated_at, known.updated_at);
  return order < 0 || (contested && order === 0) ? null : mergeNewer(known, next);
}

/** Merges an event from a webhook delivery. */
export function mergeEvent(known: Json | null, next: Json): Json {
  return known === null ? next : mergeInOrder(known, next, compareEvents(next, known));
}

/** An invitee, and when the latest of its removed no-show marks was removed, if that is known. */
export interface InviteeState {
  raw: Json | null;
  noShowRemovedAt: string | null;
}

/**
 * Merges an invitee from a webhook delivery. Its no-show mark is ordered separately, because a mark does not
 * change `updated_at`: the newest mark is in effect unless it was removed after it was set.
 */
export function mergeInvitee(known: InviteeState, next: Json, removedAt: string | null): InviteeState {
  const noShowRemovedAt = latest(known.noShowRemovedAt, removedAt);
  const merged =
    known.raw === null ? { ...next } : mergeInOrder(known.raw, next, compareInvitees(next, known.raw));
  const [newestMark = null] = [known.raw, next]
    .filter((raw) => raw !== null && isNoShowInEffect(raw, merged, noShowRemovedAt))
    .map((raw) => raw?.no_show as Json)
    .sort((a, b) => compareTimes(b.created_at, a.created_at));
  if ('no_show' in merged) merged.no_show = newestMark;
  return { raw: merged, noShowRemovedAt };
}

/** Above 0: `next` is the later state of the event; below 0: the earlier one; 0: the content does not tell. */
export function compareEvents(next: Json, known: Json): number {
  return (
    compareTimes(next.updated_at, known.updated_at) ||
    // Joining and leaving a group event may not change `updated_at`. `total` only grows; at the same total
    // `active` only falls.
    compareCounts(counter(next, 'total'), counter(known, 'total')) ||
    -compareCounts(counter(next, 'active'), counter(known, 'active')) ||
    Number(isCanceled(next)) - Number(isCanceled(known))
  );
}

/** The same for an invitee. A cancellation is final: a state without it is never the later one. */
function compareInvitees(next: Json, known: Json): number {
  return (
    Number(isCanceled(next)) - Number(isCanceled(known)) || compareTimes(next.updated_at, known.updated_at)
  );
}

/** True if a state has a no-show mark that nothing later removed. */
function isNoShowInEffect(raw: Json, newest: Json, removedAt: string | null): boolean {
  if (!isJson(raw.no_show)) return false;
  const markedAt = timeOf(raw.no_show.created_at);
  if (markedAt === null) return true;
  if (removedAt !== null && markedAt <= removedAt) return false;
  // The newest state was changed after the mark was set, and no longer has it.
  const changedAt = timeOf(newest.updated_at);
  return newest.no_show !== null || changedAt === null || markedAt >= changedAt;
}

/**
 * Merges a newer state. A key that it lacks keeps its known value: a webhook's event lacks the calendar event
 * and its hosts' buffered times. `cancellation` is the exception: an event that is not canceled has none.
 */
export function mergeNewer(known: Json, next: Json): Json {
  const merged: Json = { ...known, ...next };
  if (next.status !== undefined && !isCanceled(next) && !('cancellation' in next)) delete merged.cancellation;
  mergeMemberships(merged, next, known);
  return merged;
}

function mergeInOrder(known: Json, next: Json, order: number): Json {
  if (order > 0) return mergeNewer(known, next);
  // An earlier state adds the keys that the later one lacks; one of the same age also replaces blank values.
  const merged: Json = { ...known };
  for (const [key, value] of Object.entries(next)) {
    const open = !(key in known) || (order === 0 && isBlank(known[key]) && !isBlank(value));
    if (open && key !== 'cancellation' && key !== 'no_show') merged[key] = value;
  }
  if (!('no_show' in known) && 'no_show' in next) merged.no_show = next.no_show;
  if (isCanceled(known) && isCanceled(next) && known.cancellation == null && next.cancellation != null)
    merged.cancellation = next.cancellation;
  mergeMemberships(merged, known, next);
  return merged;
}

/** Sets the hosts of the later state, each completed by what the earlier state says of the same host. */
function mergeMemberships(merged: Json, later: Json, earlier: Json): void {
  if (!Array.isArray(later.event_memberships) || !Array.isArray(earlier.event_memberships)) return;
  const before = new Map(earlier.event_memberships.filter(isJson).map((host) => [host.user, host]));
  merged.event_memberships = later.event_memberships.map((host) =>
    isJson(host) && host.user != null ? { ...before.get(host.user), ...host } : host,
  );
}

function counter(event: Json, name: 'total' | 'active'): unknown {
  return isJson(event.invitees_counter) ? event.invitees_counter[name] : null;
}

/** Compares two timestamps to the microsecond; 0 if either is missing or invalid. */
export function compareTimes(a: unknown, b: unknown): number {
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
