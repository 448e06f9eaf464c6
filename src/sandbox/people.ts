/** The organization, its hosts with their tokens, and the names of invitees. The same for the same seed. */
import { shortIdOf, uriOf, uuidOf } from './ids.js';
import { mix, pick, type Random } from './random.js';

export type Role = 'owner' | 'admin' | 'user';
/** A Calendly user of the organization, with the personal access token that exists from the start. */
export type Host = ReturnType<typeof createHost>;
/** The one organization, its group (the first two hosts) and its hosts. */
export type Organization = ReturnType<typeof createOrganization>;

/** Creates the organization. Host 0 is the owner, host 2 an admin, all others plain members. */
export function createOrganization(seed: number, size: number) {
  const uri = uriOf('organizations', uuidOf(seed, 101));
  const hosts = Array.from({ length: size }, (_, index) => createHost(seed, index, uri));
  const resource = { uri, name: 'Sandbox Inc.', kind: 'single', plan: 'standard', stage: 'paid', ...STAMPS };
  const members = new Set(hosts.slice(0, 2).map(({ user }) => user.uri));
  return { uri, resource, group: { uri: uriOf('groups', uuidOf(seed, 102)), members }, hosts };
}

const STAMPS = { created_at: '2021-03-01T08:30:00.000000Z', updated_at: '2024-11-05T16:20:11.284913Z' };

function createHost(seed: number, index: number, organization: string) {
  const first = FIRST_NAMES[index % FIRST_NAMES.length] ?? '';
  const last = LAST_NAMES[(index * 7 + Math.floor(index / FIRST_NAMES.length)) % LAST_NAMES.length] ?? '';
  const round = Math.floor(index / FIRST_NAMES.length);
  const slug = ascii(`${first}-${last}${round > 0 ? `-${round + 1}` : ''}`);
  const role: Role = index === 0 ? 'owner' : index === 2 ? 'admin' : 'user';
  return {
    user: {
      // The second host is an old account, with an id of its time.
      uri: uriOf('users', index === 1 ? shortIdOf(seed, 201, index) : uuidOf(seed, 201, index)),
      name: `${first} ${last}`,
      slug,
      email: `${slug.replaceAll('-', '.')}@example.com`,
      scheduling_url: `https://calendly.com/${slug}`,
      timezone: TIMEZONES[index % TIMEZONES.length] ?? 'UTC',
      time_notation: index % 2 === 0 ? '12h' : '24h',
      locale: 'en',
      avatar_url: null,
      ...STAMPS,
      resource_type: 'User',
      current_organization: organization,
    },
    role,
    membership: { uri: uriOf('organization_memberships', uuidOf(seed, 202, index)), ...STAMPS },
    token: `sandbox-token-${slug.replaceAll('-', '')}-${mix(seed, 203, index).toString(16).padStart(8, '0')}`,
  };
}

/** A random person. Many share a name, few an address. */
export function personBy(random: Random) {
  const first_name = pick(random, FIRST_NAMES);
  const last_name = pick(random, LAST_NAMES);
  const number = Math.floor(random() * 10_000);
  const domain = pick(random, ['example.com', 'example.org', 'example.net']);
  const email = `${ascii(first_name)}.${ascii(last_name)}${number}@${domain}`;
  const timezone = pick(random, TIMEZONES);
  return { name: `${first_name} ${last_name}`, first_name, last_name, email, timezone };
}

function ascii(text: string): string {
  const letters = text.normalize('NFD').replace(/[^A-Za-z0-9-]/g, '');
  return letters.toLowerCase();
}

const FIRST_NAMES = (
  'Amara Björn Chiara Dmitri Eleni Farid Greta Hiro Ines Jonas Kavya Liam ' +
  'Maëlle Noor Olu Petra Quinn Rosa Stefan Tomás Uma Viktor Wanda Yusuf'
).split(' ');
const LAST_NAMES = (
  'Abara Berg Castelli Dvořák Eriksen Fontaine Grau Haddad Ito Jansen Kaya ' +
  'Lindqvist Moreau Nowak Okafor Papadakis Rossi Silva Tanaka Ueda Vogel Weiss'
).split(' ');
const TIMEZONES = (
  'America/New_York Europe/Berlin America/Los_Angeles Europe/London Asia/Tokyo ' +
  'Australia/Sydney America/Sao_Paulo Asia/Kolkata Africa/Lagos Pacific/Chatham'
).split(' ');
