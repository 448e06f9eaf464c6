/** All meetings of the sandbox: one array and one Map. Knows no HTTP. */
import { idOf } from './organization.js';
import type { MeetingView } from './resources.js';
import { instantOf, type Micros } from './time.js';

export interface Meeting extends MeetingView {
  start: Micros;
  /** What a request for it is answered with: 404 when it is deleted, 403 without access. Neither is listed. */
  answer: 200 | 403 | 404;
}

export interface Meetings {
  find(id: string): Meeting | undefined;
  add(meeting: MeetingView): Meeting;
  /** By start, hidden ones too. */
  ordered(): readonly Meeting[];
  /** A copy that later changes do not reach. */
  copy(): Meetings;
}

export function createMeetings(all: Meeting[] = []): Meetings {
  const byId = new Map(all.map((meeting) => [idOf(meeting.event.uri), meeting]));
  return {
    find: (id) => byId.get(id),
    add({ event, invitees }) {
      const meeting: Meeting = { event, invitees, start: instantOf(event.start_time), answer: 200 };
      byId.set(idOf(event.uri), meeting);
      all.push(meeting);
      return meeting;
    },
    ordered: () => all.sort((a, b) => a.start - b.start || (a.event.uri < b.event.uri ? -1 : 1)),
    copy: () => createMeetings(structuredClone(all)),
  };
}
