/** What people do at the demo's Calendly. Knows no command and no output. */
import type { MeetingView } from '../../sandbox/resources.js';
import type { Sandbox } from '../../sandbox/sandbox.js';

/** One thing that somebody did. */
export interface Activity {
  what: 'booked' | 'canceled' | 'rescheduled';
  /** Who, what and when, in words. */
  text: string;
  /** URI of the event. */
  event: string;
}

/** Three people book, two meetings are canceled, one is rescheduled. */
export function simulateActivity(calendly: Sandbox): Activity[] {
  const { control } = calendly;
  const [first, second, third] = upcomingMeetings(calendly);
  if (!first || !second || !third) throw new Error('the demo’s Calendly has no upcoming meetings');
  return [
    bookFor(calendly, 'Maya Lindqvist', 24),
    bookFor(calendly, 'Tom Okoye', 72),
    bookFor(calendly, 'Ana Sousa', 216),
    describe('canceled', control.cancel({ event: first.event.uri, by: 'invitee', reason: 'On holiday' })),
    describe('canceled', control.cancel({ event: second.event.uri, by: 'host', reason: 'Double booked' })),
    describe('rescheduled', control.reschedule({ event: third.event.uri, start: '+200h' }).new),
  ];
}

/** Somebody books a meeting that starts in so many hours. */
export function bookFor({ control }: Sandbox, name: string, hours: number): Activity {
  const email = `${name.toLowerCase().replace(' ', '.')}@example.com`;
  return describe('booked', control.book({ start: `+${hours}h`, invitees: [{ name, email }] }));
}

/** How many meetings the demo's user has at Calendly. */
export function countMeetings(calendly: Sandbox): { active: number; canceled: number } {
  const counts = { active: 0, canceled: 0 };
  for (const { event } of hostedMeetings(calendly)) counts[event.status]++;
  return counts;
}

function hostedMeetings({ control, hosts }: Sandbox): MeetingView[] {
  const host = hosts[0]?.uri;
  return control.state().filter(({ event }) => event.event_memberships.some(({ user }) => user === host));
}

/** Active meetings with one invitee within the next three months: those that an incremental sync lists. */
function upcomingMeetings(calendly: Sandbox): MeetingView[] {
  const from = Date.parse(calendly.control.clock().now);
  const to = from + 90 * 86_400_000;
  return hostedMeetings(calendly).filter(({ event, invitees }) => {
    const start = Date.parse(event.start_time);
    return event.status === 'active' && invitees.length === 1 && start > from && start < to;
  });
}

function describe(what: Activity['what'], { event, invitees }: MeetingView): Activity {
  const who = invitees[0]?.name ?? invitees[0]?.email ?? 'Somebody';
  const start = `${event.start_time.slice(0, 16).replace('T', ' ')} UTC`;
  return { what, event: event.uri, text: `${who}: ${event.name ?? 'a meeting'}, ${start}` };
}
