/** What people do at the demo's Calendly between two syncs, and what a sync must find of it. */
import type { MeetingView } from '../../sandbox/bookings.js';
import type { Sandbox } from '../../sandbox/sandbox.js';

/** One thing that somebody did. */
export interface Happening {
  what: 'booked' | 'canceled' | 'rescheduled';
  /** In a person's words. */
  text: string;
  event: string;
}

/** What the next sync must say. */
export interface Expected {
  new: number;
  deleted: number;
}

/** Lets three people book, two cancel and one reschedule. */
export function letThingsHappen({ control, hosts }: Sandbox): {
  happenings: Happening[];
  expected: Expected;
} {
  const host = hosts[0]?.uri ?? '';
  const [first, second, third] = upcoming([...control.meetings()], host, control.clock().now);
  if (!first || !second || !third) throw new Error('the demo’s Calendly has no meetings to come');
  const happenings: Happening[] = [];
  const add = (what: Happening['what'], { event, invitees }: MeetingView) => {
    const who = invitees[0]?.name ?? invitees[0]?.email ?? 'Somebody';
    happenings.push({
      what,
      event: event.uri,
      text: `${who}: ${event.name ?? 'a meeting'}, ${utc(event.start_time)}`,
    });
  };
  for (const [days, name] of [
    [1, 'Maya Lindqvist'],
    [3, 'Tom Okoye'],
    [9, 'Ana Sousa'],
  ] as const) {
    const invitee = { name, email: `${name.toLowerCase().replace(' ', '.')}@example.com` };
    add('booked', control.book({ start: `+${days * 24}h`, invitees: [invitee] }));
  }
  add('canceled', control.cancel({ event: first.event.uri, by: 'invitee', reason: 'On holiday' }));
  add('canceled', control.cancel({ event: second.event.uri, by: 'host', reason: 'Double booked' }));
  add('rescheduled', control.reschedule({ event: third.event.uri, start: '+200h' }).new);
  // A reschedule is two events: the old one is canceled, another one is new.
  return { happenings, expected: { new: 3 + 1, deleted: 2 + 1 } };
}

/** Active meetings of the host that are still to come within three months, with one invitee. */
function upcoming(meetings: MeetingView[], host: string, now: string): MeetingView[] {
  const from = Date.parse(now);
  const to = from + 90 * 86_400_000;
  return meetings.filter(({ event, invitees }) => {
    const start = Date.parse(event.start_time);
    const hosted = event.event_memberships.some(({ user }) => user === host);
    return hosted && event.status === 'active' && invitees.length === 1 && start > from && start < to;
  });
}

function utc(time: string): string {
  return `${time.slice(0, 16).replace('T', ' ')} UTC`;
}
