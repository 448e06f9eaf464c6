/**
 * All meetings of the sandbox: one list in the order of listings and one map by id. A meeting is never changed in
 * place: each change replaces it, so that what was there before can still be shown. Knows no HTTP.
 */
import { idOf } from './ids.js';
import { type ListingCursor, positionAfter } from './paging.js';
import type { MeetingView } from './resources.js';
import { type Micros, parseInstant } from './time.js';

export interface Meeting extends MeetingView {
  /** Orders meetings that start together; unique. */
  sequence: number;
  start: Micros;
  /** `deleted` answers 404 and `access_lost` 403; neither is listed. */
  visibility: 'visible' | 'deleted' | 'access_lost';
}

/** What a request can see of the meetings. */
export interface MeetingsView {
  /** The meeting with this id, hidden ones too. */
  find(id: string): Meeting | undefined;
  /** By start; hidden ones too. */
  ordered(): readonly Meeting[];
}

export interface Meetings extends MeetingsView {
  /** Marks the beginning of a command: the next change is the first of a new group of changes. */
  beginCommand(): void;
  add(meeting: MeetingView): Meeting;
  /** Replaces a meeting by a changed copy; undefined for an unknown id. When `alter` throws, nothing changes. */
  change(id: string, alter: (copy: Meeting) => void): Meeting | undefined;
  /** The meetings as they were before the last command that changed any. */
  beforeLastChange(): MeetingsView;
}

export const cursorOf = ({ start, sequence }: Meeting): ListingCursor => [start, sequence];

export function createMeetings(generated: readonly MeetingView[]): Meetings {
  const byId = new Map<string, Meeting>();
  const ordered: Meeting[] = [];
  let previous = new Map<string, Meeting | null>();
  let isNewCommand = true;
  let nextSequence = 0;

  const insert = (meeting: Meeting) => {
    meeting.start = parseInstant(meeting.event.start_time) ?? meeting.start;
    byId.set(idOf(meeting.event.uri), meeting);
    ordered.splice(positionAfter(ordered, cursorOf, cursorOf(meeting)), 0, meeting);
  };
  const remember = (id: string) => {
    if (isNewCommand) previous = new Map();
    isNewCommand = false;
    if (!previous.has(id)) previous.set(id, byId.get(id) ?? null);
  };
  const add = ({ event, invitees }: MeetingView): Meeting => {
    const meeting: Meeting = { event, invitees, start: 0, sequence: nextSequence++, visibility: 'visible' };
    insert(meeting);
    return meeting;
  };
  for (const meeting of generated) add(meeting);

  return {
    find: (id) => byId.get(id),
    ordered: () => ordered,
    beginCommand() {
      isNewCommand = true;
    },
    add(meeting) {
      remember(idOf(meeting.event.uri));
      return add(meeting);
    },
    change(id, alter) {
      const before = byId.get(id);
      if (!before) return undefined;
      const copy = structuredClone(before);
      alter(copy);
      remember(id);
      ordered.splice(positionAfter(ordered, cursorOf, cursorOf(before)) - 1, 1);
      insert(copy);
      return copy;
    },
    beforeLastChange() {
      const changed = previous;
      const unchanged = ordered.filter(({ event }) => !changed.has(idOf(event.uri)));
      const old = [...changed.values()].filter((meeting) => meeting !== null);
      const all = [...unchanged, ...old].sort((a, b) => a.start - b.start || a.sequence - b.sequence);
      const find = (id: string) => (changed.has(id) ? (changed.get(id) ?? undefined) : byId.get(id));
      return { find, ordered: () => all };
    },
  };
}

/** Whether the user is one of the meeting's hosts. */
export function isHostedBy({ event }: MeetingView, user: string): boolean {
  return event.event_memberships.some((membership) => membership.user === user);
}
