/** One meeting of the sandbox: the event as the API shows it, its invitees, and its place in the order of listings. */
import { idOf } from './identifiers.js';
import type { Micros } from './microseconds.js';
import type { EventResource, InviteeResource } from './resources.js';

export interface Meeting {
  /** Breaks ties between meetings that start together; unique. */
  sequence: number;
  start: Micros;
  event: EventResource;
  /** In the order of booking. */
  invitees: InviteeResource[];
  /** `deleted` answers 404 and `access_lost` 403; neither is listed. */
  visibility: 'visible' | 'deleted' | 'access_lost';
}

/** Where a meeting stands in listings: by start, then by sequence. */
export type Place = readonly [Micros, number];

export function placeOf(meeting: Meeting): Place {
  return [meeting.start, meeting.sequence];
}

/** Negative when `a` stands before `b`. */
export function comparePlaces(a: Place, b: Place): number {
  return a[0] - b[0] || a[1] - b[1];
}

/** The last segment of the event's URI. */
export function meetingId(meeting: Meeting): string {
  return idOf(meeting.event.uri);
}

/** Whether the user is one of the event's hosts. */
export function isHostedBy(meeting: Meeting, user: string): boolean {
  return meeting.event.event_memberships.some((membership) => membership.user === user);
}

/** Brings the event's counter in line with its invitees. */
export function recount({ event, invitees }: Meeting): void {
  event.invitees_counter = {
    ...event.invitees_counter,
    total: invitees.length,
    active: invitees.filter(({ status }) => status === 'active').length,
  };
}
