/** The places of meetings, one of each kind that Calendly knows, by chance. Pure. */
import { between, pick, type Random } from './random.js';
import type { LocationResource } from './resources.js';

/** Kinds whose join link is pushed some seconds after the booking, which moves the event's `updated_at`. */
const CONFERENCES = new Set([
  'zoom_conference',
  'zoom',
  'google_conference',
  'microsoft_teams_conference',
  'webex_conference',
  'gotomeeting',
]);

/** Whether a location gets its link after the booking. */
export function isConference(location: LocationResource | null): boolean {
  return location !== null && CONFERENCES.has(location.type);
}

/** A location of a kind by chance, conferences most often. */
export function locationBy(random: Random): LocationResource {
  return pick(random, MAKERS)(random);
}

/** A location of the kind; an unknown kind has nothing but its type. */
export function locationOf(type: string, random: Random): LocationResource {
  return MAKERS.map((make) => make(random)).find((location) => location.type === type) ?? { type };
}

const code = (random: Random) => String(between(random, 10_000_000_000, 99_999_999_999));
const pushed = { status: 'pushed' };

function zoom(type: string) {
  return (random: Random): LocationResource => {
    const id = code(random);
    return {
      type,
      ...pushed,
      join_url: `https://zoom.example/j/${id}?pwd=c2FuZGJveA`,
      data: { id: Number(id), settings: { global_dial_in_numbers: [] }, extra: null, password: 'sandbox' },
    };
  };
}

const MAKERS: readonly ((random: Random) => LocationResource)[] = [
  zoom('zoom_conference'),
  zoom('zoom_conference'),
  zoom('zoom'),
  (random) => ({
    type: 'google_conference',
    ...pushed,
    join_url: `https://meet.example/${code(random)}`,
  }),
  (random) => ({
    type: 'google_conference',
    ...pushed,
    join_url: `https://meet.example/${code(random)}`,
  }),
  (random) => ({
    type: 'microsoft_teams_conference',
    ...pushed,
    join_url: `https://teams.example/l/${code(random)}`,
    data: { id: code(random), audioConferencing: null },
  }),
  (random) => ({
    type: 'webex_conference',
    ...pushed,
    join_url: `https://webex.example/m/${code(random)}`,
    data: { id: code(random), telephony: { callInNumbers: [] }, password: 'sandbox' },
  }),
  (random) => ({
    type: 'gotomeeting',
    ...pushed,
    join_url: `https://goto.example/${code(random)}`,
    data: { uniqueMeetingId: Number(code(random)), conferenceCallInfo: null },
  }),
  () => ({ type: 'physical', location: 'Hafenstraße 12, 2nd floor', additional_info: 'Ring twice' }),
  () => ({ type: 'outbound_call', location: '+49 30 5550 1234' }),
  () => ({ type: 'inbound_call', location: '+1 212 555 0100', additional_info: 'Extension 4' }),
  () => ({ type: 'custom', location: 'The usual place' }),
  () => ({ type: 'custom', location: null }),
  () => ({ type: 'ask_invitee', location: 'At the harbour' }),
];
