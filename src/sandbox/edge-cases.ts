/**
 * The odd things that real accounts hold, one for each kind. Each is put into a generated meeting that is else an
 * ordinary one. Pure but for the meeting handed in.
 */

import type { Meeting } from './meeting.js';
import { formatInstant, parseInstant } from './microseconds.js';
import type { EventResource, InviteeResource } from './resources.js';

type Oddity = (event: EventResource, invitees: InviteeResource[]) => void;

/** Makes the meeting odd in the way with this number; the ways repeat. */
export function makeOdd(meeting: Meeting, ordinal: number): void {
  ODDITIES[ordinal % ODDITIES.length]?.(meeting.event, meeting.invitees);
}

function named(name: string): Oddity {
  return (_event, invitees) => {
    for (const invitee of invitees) invitee.name = name;
  };
}

function titled(name: string | null): Oddity {
  return (event) => {
    event.name = name;
  };
}

/** Cuts the event's time stamps to so many fraction digits. */
function digits(count: number): Oddity {
  return (event) => {
    for (const field of ['start_time', 'end_time', 'created_at', 'updated_at'] as const) {
      event[field] = formatInstant(parseInstant(event[field]) ?? 0, count);
    }
  };
}

const ODDITIES: readonly Oddity[] = [
  titled(null),
  named('Null\u0000Byte'),
  digits(0),
  titled('\u202eפגישה עם \u2066דנה\u2069 ושיחה'),
  named('\u001b[31mRed\u001b[0m \u0007Alert\u009b2J'),
  (event) => {
    event.location = null;
  },
  (event) => {
    event.location = { type: 'hologram_deck', deck: 4, options: { scent: ['pine', null] } };
  },
  digits(3),
  (_event, invitees) => {
    for (const invitee of invitees) {
      Object.assign(invitee, { name: null, first_name: null, last_name: null, timezone: null });
    }
  },
  (event) => {
    event.event_type = null;
  },
  (_event, invitees) => {
    for (const invitee of invitees) {
      invitee.questions_and_answers = [
        { question: 'Anything else?', answer: 'line one\nline\u0000two\t\u2028end', position: 0 },
      ];
    }
  },
  titled(`${'A very long title '.repeat(40)}👩🏽‍🚀 Zoë`),
  (event) => {
    delete event.calendar_event;
    event.event_memberships = event.event_memberships.map(({ user }) => ({ user }));
  },
  named(`Robert'); drop table meetings;-- <script>alert("x")</script> \\ %s $1`),
  (event) => {
    event.location = { type: 'zoom_conference', status: 'initiated', join_url: null, data: null };
  },
  (_event, invitees) => {
    for (const [index, invitee] of invitees.entries()) invitee.email = `Mixed.CASE+tag${index}@Example.COM`;
  },
  digits(1),
  (event, invitees) => {
    event.surprise = { added: 'later', nested: [1, 2.5, { deep: true }] };
    for (const invitee of invitees) Object.assign(invitee, { scheduling_method: 'telepathy', mood: null });
  },
  (event) => {
    event.meeting_notes_plain = 'Agreed: next steps\u2029by Friday';
    event.meeting_notes_html = '<p>Agreed: next steps<br>by Friday</p>';
  },
  titled('‏اجتماع‏ 30 دقيقة\r\n2nd line'),
  digits(5),
];
