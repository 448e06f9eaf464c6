/**
 * Merges an observed event or invitee into the stored one, as raw JSON. A polled state replaces the stored
 * one unless that is newer; what Calendly repeats ten minutes later wins in any case. Webhook deliveries may arrive
 * late, twice and out of order, so recency is decided by content, not by arrival time: that merge is commutative,
 * associative and idempotent. Pure.
 */
import { canonicalTimestamp } from '../../calendly/timestamps.js';
import { isJson, type Json } from '../../database/table.js';
import type { Standing } from './standing.js';

/**
 * Merges a state that Calendly returned to a request; null if the stored state stands.
 * @param standing how the request stands to the last write of the stored state
 * @param mayRestore a state that is not canceled may replace a canceled one
 */
export function mergePolled(
  known: Json | null,
  next: Json,
  standing: Standing,
  mayRestore = standing === 'settled',
): Json | null {
  if (known === null) return next;
  if (isCanceled(known) && 'status' in next && !isCanceled(next) && !mayRestore) return null;
  const order = compareTimes(next.updated_at, known.updated_at);
  const isOlder = standing !== 'settled' && order < 0;
  // An edit may leave `updated_at` as it is: of two states of the same age, the later answer has the newer content.
  return isOlder || (standing === 'contested' && order === 0) ? null : mergeNewer(known, next);
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
  const noShowRemovedAt = latest(known.noShowRemovedAt, endOfSecond(removedAt));
  const merged =
    known.raw === null ? { ...next } : mergeInOrder(known.raw, next, compareInvitees(next, known.raw));
  const [newestMark = null] = [known.raw, next]
    .filter((raw) => raw !== null && isNoShowInEffect(raw, merged, noShowRemovedAt))
    .map((raw) => raw?.no_show as Json)
    .sort((a, b) => compareTimes(b.created_at, a.created_at));
  if ('no_show' in merged) merged.no_show = newestMark;
  return { raw: merged, noShowRemovedAt };
}

/**
 * Merges an invitee that Calendly returned to a request. A mark that is no longer there counts as removed, so that a
 * late delivery does not set it again; one that is there after all was not removed.
 */
export function mergePolledInvitee(known: InviteeState, next: Json, standing: Standing): InviteeState {
  const raw = mergePolled(known.raw, next, standing);
  if (raw === null) return { raw, noShowRemovedAt: known.noShowRemovedAt };
  const [before, after] = [markTime(known.raw), markTime(raw)];
  if (after !== null && isMarkRemoved(after, known.noShowRemovedAt)) return { raw, noShowRemovedAt: null };
  const isRemoved = !isJson(raw.no_show) && before !== null;
  return { raw, noShowRemovedAt: isRemoved ? latest(known.noShowRemovedAt, before) : known.noShowRemovedAt };
}

/**
 * Above 0: `next` is the later state of the event; below 0: the earlier one; 0: the content does not tell. A
 * cancellation is final: a state without it is never the later one.
 */
export function compareEvents(next: Json, known: Json): number {
  return (
    Number(isCanceled(next)) - Number(isCanceled(known)) ||
    compareTimes(next.updated_at, known.updated_at) ||
    // Joining and leaving a group event may not change `updated_at`. `total` only grows; at the same total
    // `active` only falls.
    compareCounts(counter(next, 'total'), counter(known, 'total')) ||
    compareCounts(counter(known, 'active'), counter(next, 'active'))
  );
}

/** The same for an invitee. */
function compareInvitees(next: Json, known: Json): number {
  return (
    Number(isCanceled(next)) - Number(isCanceled(known)) || compareTimes(next.updated_at, known.updated_at)
  );
}

/** True if a state has a no-show mark that nothing later removed. */
function isNoShowInEffect(raw: Json, newest: Json, removedAt: string | null): boolean {
  if (!isJson(raw.no_show)) return false;
  const markedAt = markTime(raw);
  if (markedAt === null) return true;
  if (isMarkRemoved(markedAt, removedAt)) return false;
  // The newest state was changed after the mark was set, and no longer has it.
  const changedAt = timeOf(newest.updated_at);
  return newest.no_show !== null || changedAt === null || markedAt >= changedAt;
}

function isMarkRemoved(markedAt: string, removedAt: string | null): boolean {
  return removedAt !== null && markedAt <= removedAt;
}

/** A removal has the time of its delivery, which Calendly writes in whole seconds: it covers all of that second. */
function endOfSecond(time: string | null): string | null {
  return time?.replace(/\.000000Z$/, '.999999Z') ?? null;
}

function markTime(raw: Json | null): string | null {
  return isJson(raw?.no_show) ? timeOf(raw.no_show.created_at) : null;
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
  // An earlier state adds the keys that the later one lacks; one of the same age also adds what the other does not
  // have yet. A key of Calendly's may be called `__proto__`: never assign by it.
  const added = Object.entries(next).filter(([key, value]) => {
    if (key === 'cancellation' || key === 'no_show') return false;
    return !Object.hasOwn(known, key) || (order === 0 && isRicher(value, known[key]));
  });
  const merged: Json = { ...known, ...Object.fromEntries(added) };
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

/** True if a value is what the other one becomes in time, although nothing says when. */
function isRicher(value: unknown, than: unknown): boolean {
  const progress = linkProgress(than);
  return (isBlank(than) && !isBlank(value)) || (progress >= 0 && linkProgress(value) > progress);
}

// A conference link may be added without moving `updated_at`.
const LINK_STATES = ['initiated', 'processing', 'failed', 'pushed'];

/** How far the conference link of a location has got; -1 for any other value. */
function linkProgress(value: unknown): number {
  return isJson(value) && typeof value.status === 'string' ? LINK_STATES.indexOf(value.status) : -1;
}

function isBlank(value: unknown): boolean {
  return value === null || value === undefined || value === false;
}
