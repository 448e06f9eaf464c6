/** Unusual data that real accounts hold, one kind for each meeting. Pure except for the meeting passed in. */
import type { EventResource, MeetingView } from './resources.js';
import { formatInstant, instantOf } from './time.js';

/** Fields that replace those of the event, and of every invitee. */
interface EdgeCase {
  event?: object | ((event: EventResource) => object);
  invitees?: object;
}

/** The event's times with this many fraction digits. */
const digits = (count: number) => (event: EventResource) => {
  const fields = ['start_time', 'end_time', 'created_at', 'updated_at'] as const;
  return Object.fromEntries(fields.map((field) => [field, formatInstant(instantOf(event[field]), count)]));
};

/** What old events lack. */
const bare = ({ event_memberships }: EventResource) => {
  const hosts = event_memberships.map(({ user }) => ({ user }));
  return { calendar_event: undefined, event_memberships: hosts };
};

const ANSWER = { question: 'Anything else?', answer: 'line one\nline\u0000two\t\u2028end', position: 0 };

const EDGE_CASES: readonly EdgeCase[] = [
  { event: { name: null } },
  { invitees: { name: 'Null\u0000Byte' } },
  { event: digits(0) },
  { event: { name: '\u202eפגישה עם \u2066דנה\u2069 ושיחה' } },
  { invitees: { name: '\u001b[31mRed\u001b[0m \u0007Alert\u009b2J' } },
  { event: { location: null } },
  { event: { location: { type: 'hologram_deck', deck: 4, options: { scent: ['pine', null] } } } },
  { event: digits(3) },
  { invitees: { name: null, first_name: null, last_name: null, timezone: null } },
  { event: { event_type: null } },
  { invitees: { questions_and_answers: [ANSWER] } },
  { event: { name: `${'A very long title '.repeat(40)}👩🏽‍🚀 Zoë` } },
  { event: bare },
  { invitees: { name: `Robert'); drop table meetings;-- <script>alert("x")</script> \\ %s $1` } },
  { event: { location: { type: 'zoom_conference', status: 'initiated', join_url: null, data: null } } },
  { invitees: { email: 'Mixed.CASE+tag0@Example.COM' } },
  { event: digits(1) },
  {
    event: { surprise: { added: 'later', nested: [1, 2.5, { deep: true }] } },
    invitees: { scheduling_method: 'telepathy', mood: null },
  },
  { event: { meeting_notes_plain: 'Next:\u2029 Friday', meeting_notes_html: '<p>Next:<br>Friday</p>' } },
  { event: { name: '‏اجتماع‏ 30 دقيقة\r\n2nd line' } },
  { event: digits(5) },
];

/** Applies the edge case with this number to the meeting. The cases repeat. An undefined field is one to leave out. */
export function applyEdgeCase({ event, invitees }: MeetingView, ordinal: number): void {
  const edgeCase = EDGE_CASES[ordinal % EDGE_CASES.length] ?? {};
  Object.assign(event, typeof edgeCase.event === 'function' ? edgeCase.event(event) : edgeCase.event);
  for (const invitee of invitees) Object.assign(invitee, edgeCase.invitees);
}
