/** The listing of meetings: the filters of `GET /scheduled_events` over the store's walk. */

import { type Meeting, type Place, placeOf } from './meeting.js';
import type { Micros } from './microseconds.js';
import type { Fetch } from './paging.js';
import type { EventResource } from './resources.js';
import type { Store } from './store.js';

export interface EventFilter {
  /** Users whose meetings are listed; null for all. */
  hosts: ReadonlySet<string> | null;
  status: 'active' | 'canceled' | null;
  inviteeEmail: string | null;
  min: Micros | null;
  max: Micros | null;
  /** Whether a meeting that starts exactly at a bound is listed. */
  inclusive: boolean;
  descending: boolean;
}

/** Rows of the listing, page by page. */
export function fetchEvents(store: Store, filter: EventFilter): Fetch<EventResource> {
  return (beyond, turned, limit) => {
    const backward = filter.descending !== turned;
    const rows: { row: EventResource; place: Place }[] = [];
    for (const meeting of store.walk({
      hosts: filter.hosts,
      beyond: nearer(filter, beyond, backward),
      backward,
    })) {
      if (isPast(filter, meeting, backward)) break;
      if (!fits(filter, meeting)) continue;
      rows.push({ row: meeting.event, place: placeOf(meeting) });
      if (rows.length === limit) break;
    }
    return rows;
  };
}

/** Where the walk may begin: at the page's place or at the window's edge, whichever is farther on. */
function nearer({ min, max, inclusive }: EventFilter, beyond: Place | null, backward: boolean): Place | null {
  const bound = backward ? max : min;
  if (bound === null) return beyond;
  // A place just before (backward: after) all meetings that start at the bound, or just after them all.
  const edge: Place = [bound, inclusive === backward ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY];
  if (beyond === null) return edge;
  const farther = backward ? beyond[0] <= edge[0] : beyond[0] >= edge[0];
  return farther ? beyond : edge;
}

/** Whether the walk has left the window on its far side. */
function isPast({ min, max, inclusive }: EventFilter, { start }: Meeting, backward: boolean): boolean {
  if (backward) return min !== null && (inclusive ? start < min : start <= min);
  return max !== null && (inclusive ? start > max : start >= max);
}

function fits({ status, inviteeEmail }: EventFilter, { event, invitees }: Meeting): boolean {
  if (status !== null && event.status !== status) return false;
  if (inviteeEmail === null) return true;
  return invitees.some(({ email }) => email.toLowerCase() === inviteeEmail.toLowerCase());
}
