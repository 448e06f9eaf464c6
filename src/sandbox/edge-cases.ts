/** Unusual data that real accounts hold, one kind for each meeting. Pure except for the meeting passed in. */
import type { EventResource, InviteeResource, MeetingView } from './resources.js';
import { formatInstant, parseInstant } from './time.js';

type EdgeCase = (event: EventResource, invitees: InviteeResource[]) => void;

/** Applies the edge case with this number to the meeting. The cases repeat. */
export function applyEdgeCase({ event, invitees }: MeetingView, ordinal: number): void {
  EDGE_CASES[ordinal % EDGE_CASES.length]?.(event, invitees);
}

/** Replaces fields of the event. */
const onEvent =
  (fields: Record<string, unknown>): EdgeCase =>
  (event) =>
    Object.assign(event, fields);

/** Replaces fields of every invitee. */
const onInvitees =
  (fields: Record<string, unknown>): EdgeCase =>
  (_event, invitees) => {
    for (const invitee of invitees) Object.assign(invitee, fields);
  };

/** Cuts the event's timestamps to this many fraction digits. */
const fractionDigits =
  (count: number): EdgeCase =>
  (event) => {
    for (const field of ['start_time', 'end_time', 'created_at', 'updated_at'] as const) {
      event[field] = formatInstant(parseInstant(event[field]) ?? 0, count);
    }
  };

const EDGE_CASES: readonly EdgeCase[] = [
  onEvent({ name: null }),
  onInvitees({ name: 'Null\u0000Byte' }),
  fractionDigits(0),
  onEvent({ name: '\u202eפגישה עם \u2066דנה\u2069 ושיחה' }),
  onInvitees({ name: '\u001b[31mRed\u001b[0m \u0007Alert\u009b2J' }),
  onEvent({ location: null }),
  onEvent({ location: { type: 'hologram_deck', deck: 4, options: { scent: ['pine', null] } } }),
  fractionDigits(3),
  onInvitees({ name: null, first_name: null, last_name: null, timezone: null }),
  onEvent({ event_type: null }),
  onInvitees({
    questions_and_answers: [
      { question: 'Anything else?', answer: 'line one\nline\u0000two\t\u2028end', position: 0 },
    ],
  }),
  onEvent({ name: `${'A very long title '.repeat(40)}👩🏽‍🚀 Zoë` }),
  (event) => {
    delete event.calendar_event;
    event.event_memberships = event.event_memberships.map(({ user }) => ({ user }));
  },
  onInvitees({ name: `Robert'); drop table meetings;-- <script>alert("x")</script> \\ %s $1` }),
  onEvent({ location: { type: 'zoom_conference', status: 'initiated', join_url: null, data: null } }),
  (_event, invitees) => {
    for (const [index, invitee] of invitees.entries()) invitee.email = `Mixed.CASE+tag${index}@Example.COM`;
  },
  fractionDigits(1),
  (event, invitees) => {
    event.surprise = { added: 'later', nested: [1, 2.5, { deep: true }] };
    onInvitees({ scheduling_method: 'telepathy', mood: null })(event, invitees);
  },
  onEvent({
    meeting_notes_plain: 'Agreed: next steps\u2029by Friday',
    meeting_notes_html: '<p>Agreed: next steps<br>by Friday</p>',
  }),
  onEvent({ name: '‏اجتماع‏ 30 دقيقة\r\n2nd line' }),
  fractionDigits(5),
];
