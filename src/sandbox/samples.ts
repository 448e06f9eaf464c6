/** Names, time zones and locations, and random picks from them. Pure. */
import { between, pick, type Random } from './random.js';

const words = (text: string) => text.split(' ');
export const FIRST_NAMES = words('Amara Björn Chiara Dmitri Eleni Farid Greta Hiro Ines Jonas Maëlle Tomás');
export const LAST_NAMES = words('Abara Berg Castelli Dvořák Eriksen Fontaine Grau Haddad Ito Jansen Nowak');
export const TIMEZONES = words('America/New_York Europe/Berlin Asia/Tokyo Asia/Kolkata Pacific/Chatham');

/** A random person. Many share a name, few an address. */
export function personBy(random: Random) {
  const [first_name, last_name] = [pick(random, FIRST_NAMES), pick(random, LAST_NAMES)];
  const email = `${asciiOf(first_name)}.${asciiOf(last_name)}${between(random, 0, 9_999)}@example.com`;
  return {
    name: `${first_name} ${last_name}`,
    first_name,
    last_name,
    email,
    timezone: pick(random, TIMEZONES),
  };
}

export function asciiOf(text: string): string {
  return text
    .normalize('NFD')
    .replace(/[^A-Za-z0-9-]/g, '')
    .toLowerCase();
}

/** A location as the API shows it. `type` is open, and each type has fields of its own. */
export type Location = { type: string } & Record<string, unknown>;

const ZOOM = { settings: {}, extra: null, password: 'sandbox' };
/** Each kind, with what a conference's `data` holds beside its id. How often each occurs is a guess. */
const LOCATIONS: readonly (Location | [type: string, url: string, data: object])[] = [
  ['zoom_conference', 'zoom.example/j', ZOOM],
  ['zoom_conference', 'zoom.example/j', ZOOM],
  // The documentation says `zoom_conference`; recorded data says `zoom`.
  ['zoom', 'zoom.example/j', ZOOM],
  ['google_conference', 'meet.example', {}],
  ['google_conference', 'meet.example', {}],
  ['microsoft_teams_conference', 'teams.example/l', { audioConferencing: null }],
  ['webex_conference', 'webex.example/m', { telephony: { callInNumbers: [] } }],
  ['gotomeeting', 'goto.example', { conferenceCallInfo: null }],
  { type: 'physical', location: 'Hafenstraße 12, 2nd floor', additional_info: 'Ring twice' },
  { type: 'outbound_call', location: '+49 30 5550 1234' },
  { type: 'inbound_call', location: '+1 212 555 0100', additional_info: 'Extension 4' },
  { type: 'custom', location: 'The usual place' },
  { type: 'custom', location: null },
  { type: 'ask_invitee', location: 'At the harbour' },
];

/** A random location; most often a conference whose link has been pushed. */
export function locationBy(random: Random): Location {
  const location = pick(random, LOCATIONS);
  if (!Array.isArray(location)) return { ...location };
  const [type, url, data] = location;
  const id = between(random, 10_000_000_000, 99_999_999_999);
  return { type, status: 'pushed', join_url: `https://${url}/${id}`, data: { id, ...data } };
}
