/** All meetings of the sandbox, in the order of listings and by id. Knows no HTTP. */
import { idOf } from './organization.js';
import type { MeetingView } from './resources.js';
import { instantOf, type Micros } from './time.js';

export interface Meeting extends MeetingView {
  start: Micros;
  /** Orders meetings that start together; unique. */
  sequence: number;
  /** `deleted` answers 404 and `access_lost` 403; neither is listed. */
  visibility: 'visible' | 'deleted' | 'access_lost';
}

/** What a request can see of the meetings, hidden ones too. */
export interface MeetingsView {
  find(id: string): Meeting | undefined;
  /** By start. */
  ordered(): readonly Meeting[];
}

export function createMeetings(generated: readonly MeetingView[]) {
  const byId = new Map<string, Meeting>();
  const all: Meeting[] = [];
  let isOrdered = false;
  /** What the current command and the last one found before their changes; null for a meeting that they added. */
  let current = new Map<string, Meeting | null>();
  let previous = current;

  const order = (meetings: Meeting[]) =>
    meetings.sort((a, b) => a.start - b.start || a.sequence - b.sequence);
  const find = (id: string) => byId.get(id);
  const add = ({ event, invitees }: MeetingView): Meeting => {
    const start = instantOf(event.start_time);
    const meeting: Meeting = { event, invitees, start, sequence: all.length, visibility: 'visible' };
    byId.set(idOf(event.uri), meeting);
    all.push(meeting);
    isOrdered = false;
    return meeting;
  };
  for (const meeting of generated) add(meeting);

  return {
    find,
    ordered(): readonly Meeting[] {
      if (!isOrdered) order(all);
      isOrdered = true;
      return all;
    },
    add(meeting: MeetingView) {
      current.set(idOf(meeting.event.uri), null);
      return add(meeting);
    },
    /** The meeting with this id, for the current command to change; undefined for an unknown id. */
    change(id: string): Meeting | undefined {
      const meeting = byId.get(id);
      if (meeting && !current.has(id)) current.set(id, structuredClone(meeting));
      return meeting;
    },
    command<Result>(run: () => Result): Result {
      current = new Map();
      try {
        return run();
      } finally {
        if (current.size > 0) previous = current;
        for (const id of current.keys()) {
          const meeting = byId.get(id);
          if (meeting) meeting.start = instantOf(meeting.event.start_time);
          isOrdered = false;
        }
      }
    },
    /** The meetings as they were before the last command that changed any. */
    beforeLastCommand(): MeetingsView {
      const before = previous;
      const unchanged = all.filter(({ event }) => !before.has(idOf(event.uri)));
      const old = order([...unchanged, ...[...before.values()].filter((meeting) => meeting !== null)]);
      return {
        find: (id) => (before.has(id) ? (before.get(id) ?? undefined) : byId.get(id)),
        ordered: () => old,
      };
    },
  };
}
