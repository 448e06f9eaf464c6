/** The locations of meetings, in every kind that Calendly knows. Pure. */
import { between, pick, type Random } from './random.js';
import type { LocationResource } from './resources.js';

const code = (random: Random) => String(between(random, 10_000_000_000, 99_999_999_999));

/** A conference whose link has been pushed. */
const conference =
  (type: string, host: string, data: (code: string) => object | undefined) =>
  (random: Random): LocationResource => {
    const number = code(random);
    const more = data(number);
    return { type, status: 'pushed', join_url: `https://${host}/${number}`, ...(more ? { data: more } : {}) };
  };

const zoomData = (id: string) => ({ id: Number(id), settings: {}, extra: null, password: 'sandbox' });
const zoomConference = conference('zoom_conference', 'zoom.example/j', zoomData);
const google = conference('google_conference', 'meet.example', () => undefined);

/** How often each kind occurs is a guess. */
const CREATORS: readonly ((random: Random) => LocationResource)[] = [
  zoomConference,
  zoomConference,
  // The documentation says `zoom_conference`; recorded data says `zoom`.
  conference('zoom', 'zoom.example/j', zoomData),
  google,
  google,
  conference('microsoft_teams_conference', 'teams.example/l', (id) => ({ id, audioConferencing: null })),
  conference('webex_conference', 'webex.example/m', (id) => ({ id, telephony: { callInNumbers: [] } })),
  conference('gotomeeting', 'goto.example', (id) => ({
    uniqueMeetingId: Number(id),
    conferenceCallInfo: null,
  })),
  () => ({ type: 'physical', location: 'Hafenstraße 12, 2nd floor', additional_info: 'Ring twice' }),
  () => ({ type: 'outbound_call', location: '+49 30 5550 1234' }),
  () => ({ type: 'inbound_call', location: '+1 212 555 0100', additional_info: 'Extension 4' }),
  () => ({ type: 'custom', location: 'The usual place' }),
  () => ({ type: 'custom', location: null }),
  () => ({ type: 'ask_invitee', location: 'At the harbour' }),
];

/** A random location; most often a conference. */
export function locationBy(random: Random): LocationResource {
  return pick(random, CREATORS)(random);
}

/** A location of this type; one of an unknown type has nothing but its type. */
export function locationOf(type: string, random: Random): LocationResource {
  return CREATORS.map((create) => create(random)).find((location) => location.type === type) ?? { type };
}
