/** What people do at the demo's Calendly. Knows no command and no output. */
import { formatUtc } from '../../duration.js';
import type { MeetingView } from '../../sandbox/resources.js';
import type { Sandbox } from '../../sandbox/sandbox.js';

/** One thing that somebody did. */
export interface Activity {
  what: 'booked' | 'canceled' | 'rescheduled';
  /** Who, what and when. */
  text: string;
  /** URI of the event. */
  event: string;
  /** From a booking to the receiver's response, which follows its commit, in ms. */
  ms?: number;
}

/** Three people book, two meetings are canceled, one is rescheduled. */
export function simulateActivity(calendly: Sandbox): Activity[] {
  const { control } = calendly;
  const now = Date.parse(control.clock().now);
  // Within the next three months: what an incremental sync lists.
  const [first, second, third] = control.state().filter(({ event, invitees }) => {
    const ours = event.event_memberships.some(({ user }) => user === calendly.hosts[0]?.uri);
    const days = (Date.parse(event.start_time) - now) / 86_400_000;
    return ours && event.status === 'active' && invitees.length === 1 && days > 0 && days < 90;
  });
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

/** Somebody books a meeting that starts in `hours` hours. */
export function bookFor({ control }: Sandbox, name: string, hours: number): Activity {
  const email = `${name.toLowerCase().replace(' ', '.')}@example.com`;
  return describe('booked', control.book({ start: `+${hours}h`, invitees: [{ name, email }] }));
}

function describe(what: Activity['what'], { event, invitees }: MeetingView): Activity {
  const start = formatUtc(new Date(event.start_time));
  return { what, event: event.uri, text: `${invitees[0]?.name}: ${event.name}, ${start}` };
}
