/** Names, time zones and locations, and random picks from them. Pure. */
import { between, pick, type Random } from './random.js';

export const FIRST_NAMES = (
  'Amara Björn Chiara Dmitri Eleni Farid Greta Hiro Ines Jonas Kavya Liam ' +
  'Maëlle Noor Olu Petra Quinn Rosa Stefan Tomás Uma Viktor Wanda Yusuf'
).split(' ');
export const LAST_NAMES = (
  'Abara Berg Castelli Dvořák Eriksen Fontaine Grau Haddad Ito Jansen Kaya ' +
  'Lindqvist Moreau Nowak Okafor Papadakis Rossi Silva Tanaka Ueda Vogel Weiss'
).split(' ');
export const TIMEZONES = (
  'America/New_York Europe/Berlin America/Los_Angeles Europe/London Asia/Tokyo ' +
  'Australia/Sydney America/Sao_Paulo Asia/Kolkata Africa/Lagos Pacific/Chatham'
).split(' ');

/** A random person. Many share a name, few an address. */
export function personBy(random: Random) {
  const first_name = pick(random, FIRST_NAMES);
  const last_name = pick(random, LAST_NAMES);
  const number = Math.floor(random() * 10_000);
  const domain = pick(random, ['example.com', 'example.org', 'example.net']);
  const email = `${asciiOf(first_name)}.${asciiOf(last_name)}${number}@${domain}`;
  return {
    name: `${first_name} ${last_name}`,
    first_name,
    last_name,
    email,
    timezone: pick(random, TIMEZONES),
  };
}

export function asciiOf(text: string): string {
  const letters = text.normalize('NFD').replace(/[^A-Za-z0-9-]/g, '');
  return letters.toLowerCase();
}

/** A location as the API shows it. `type` is open, and each type has fields of its own. */
export type Location = { type: string } & Record<string, unknown>;

/** A conference whose link has been pushed. */
const conference = (type: string, path: string, dataOf?: (id: number) => object) => (random: Random) => {
  const id = between(random, 10_000_000_000, 99_999_999_999);
  const data = dataOf ? { data: dataOf(id) } : {};
  return { type, status: 'pushed', join_url: `https://${path}/${id}`, ...data };
};

const zoomData = (id: number) => ({ id, settings: {}, extra: null, password: 'sandbox' });
const zoom = conference('zoom_conference', 'zoom.example/j', zoomData);
const google = conference('google_conference', 'meet.example');

/** How often each kind occurs is a guess. */
const LOCATIONS: readonly (Location | ((random: Random) => Location))[] = [
  zoom,
  zoom,
  // The documentation says `zoom_conference`; recorded data says `zoom`.
  conference('zoom', 'zoom.example/j', zoomData),
  google,
  google,
  conference('microsoft_teams_conference', 'teams.example/l', (id) => ({
    id: `${id}`,
    audioConferencing: null,
  })),
  conference('webex_conference', 'webex.example/m', (id) => ({
    id: `${id}`,
    telephony: { callInNumbers: [] },
  })),
  conference('gotomeeting', 'goto.example', (id) => ({ uniqueMeetingId: id, conferenceCallInfo: null })),
  { type: 'physical', location: 'Hafenstraße 12, 2nd floor', additional_info: 'Ring twice' },
  { type: 'outbound_call', location: '+49 30 5550 1234' },
  { type: 'inbound_call', location: '+1 212 555 0100', additional_info: 'Extension 4' },
  { type: 'custom', location: 'The usual place' },
  { type: 'custom', location: null },
  { type: 'ask_invitee', location: 'At the harbour' },
];

/** A random location; most often a conference. */
export function locationBy(random: Random): Location {
  const location = pick(random, LOCATIONS);
  return typeof location === 'function' ? location(random) : { ...location };
}
