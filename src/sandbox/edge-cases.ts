/** Unusual data that real accounts hold. Pure except for the meeting passed in. */
import type { EventResource, MeetingView } from './resources.js';
import { formatInstant, instantOf } from './time.js';

/** The event's times with this many fraction digits. */
const digits = (count: number) => (event: EventResource) => {
  const fields = ['start_time', 'end_time', 'created_at', 'updated_at'] as const;
  return Object.fromEntries(fields.map((field) => [field, formatInstant(instantOf(event[field]), count)]));
};

/** What old events lack. An undefined field is left out of answers. */
const bare = ({ event_memberships }: EventResource) => {
  return { calendar_event: undefined, event_memberships: event_memberships.map(({ user }) => ({ user })) };
};

/** Fields that replace those of an event. */
const EVENTS: readonly (object | ((event: EventResource) => object))[] = [
  { name: null },
  digits(0),
  { name: '\u202eפגישה עם \u2066דנה\u2069 ושיחה' },
  { location: null },
  { location: { type: 'hologram_deck', deck: 4, options: { scent: ['pine', null] } } },
  digits(3),
  { event_type: null },
  { name: `${'A very long title '.repeat(40)}👩🏽‍🚀 Zoë` },
  bare,
  { location: { type: 'zoom_conference', status: 'initiated', join_url: null, data: null } },
  digits(1),
  { surprise: { added: 'later', nested: [1, 2.5, { deep: true }] } },
  { meeting_notes_plain: 'Next:\u2029 Friday', meeting_notes_html: '<p>Next:<br>Friday</p>' },
  { name: '‏اجتماع‏ 30 دقيقة\r\n2nd line' },
  digits(5),
];

/** Fields that replace those of every invitee. */
const INVITEES = [
  { name: 'Null\u0000Byte' },
  { name: '\u001b[31mRed\u001b[0m \u0007Alert\u009b2J' },
  { name: null, first_name: null, last_name: null, timezone: null },
  { questions_and_answers: [{ question: 'Else?', answer: 'one\nline\u0000two\t\u2028end', position: 0 }] },
  { name: `Robert'); drop table meetings;-- <script>alert("x")</script> \\ %s $1` },
  { email: 'Mixed.CASE+tag0@Example.COM' },
  { scheduling_method: 'telepathy', mood: null },
];

/** Applies the edge case with this number to the event, and one to its invitees. The cases repeat. */
export function applyEdgeCase({ event, invitees }: MeetingView, ordinal: number): void {
  const change = EVENTS[ordinal % EVENTS.length] ?? {};
  Object.assign(event, typeof change === 'function' ? change(event) : change);
  for (const invitee of invitees) Object.assign(invitee, INVITEES[ordinal % INVITEES.length]);
}
