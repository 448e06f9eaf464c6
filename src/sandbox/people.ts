/**
 * The people of the sandbox: the organization's hosts with their tokens, and the invitees' names. Deterministic from
 * the seed; knows no events.
 */
import { shortIdOf, uriOf, uuidOf } from './identifiers.js';
import { mix, pick, type Random } from './random.js';
import type { UserResource } from './resources.js';

export type Role = 'owner' | 'admin' | 'user';

/** A Calendly user of the sandbox's organization. */
export interface Host {
  user: UserResource;
  role: Role;
  membership: { uri: string; created_at: string; updated_at: string };
  /** The personal access token that the host begins with. */
  token: string;
}

/** The one organization, its group (a subset of the hosts) and its hosts. */
export interface Organization {
  uri: string;
  group: { uri: string; members: string[] };
  hosts: Host[];
}

/** Makes the organization. Host 0 is the owner, host 1 a plain member, host 2 an admin, all others plain members. */
export function createOrganization(seed: number, size: number): Organization {
  const uri = uriOf('organizations', uuidOf(seed, 101));
  const hosts = Array.from({ length: size }, (_, index) => createHost(seed, index, uri));
  const members = hosts.slice(0, 2).map(({ user }) => user.uri);
  return { uri, group: { uri: uriOf('groups', uuidOf(seed, 102)), members }, hosts };
}

function createHost(seed: number, index: number, organization: string): Host {
  const first = FIRST_NAMES[index % FIRST_NAMES.length] ?? '';
  const last = LAST_NAMES[(index * 7 + Math.floor(index / FIRST_NAMES.length)) % LAST_NAMES.length] ?? '';
  const round = Math.floor(index / FIRST_NAMES.length);
  const slug = plain(`${first}-${last}${round > 0 ? `-${round + 1}` : ''}`);
  const stamps = { created_at: '2021-03-01T08:30:00.000000Z', updated_at: '2024-11-05T16:20:11.284913Z' };
  return {
    user: {
      // The second host is an old account, with the ids of its time.
      uri: uriOf('users', index === 1 ? shortIdOf(seed, 201, index) : uuidOf(seed, 201, index)),
      name: `${first} ${last}`,
      slug,
      email: `${slug.replaceAll('-', '.')}@example.com`,
      scheduling_url: `https://calendly.com/${slug}`,
      timezone: TIMEZONES[index % TIMEZONES.length] ?? 'UTC',
      avatar_url: null,
      ...stamps,
      current_organization: organization,
    },
    role: index === 0 ? 'owner' : index === 2 ? 'admin' : 'user',
    membership: { uri: uriOf('organization_memberships', uuidOf(seed, 202, index)), ...stamps },
    token: `sandbox-token-${slug.replaceAll('-', '')}-${mix(seed, 203, index).toString(16).padStart(8, '0')}`,
  };
}

/** Somebody who books: names, address, time zone. */
export interface Person {
  name: string;
  first: string;
  last: string;
  email: string;
  timezone: string;
}

/** A person by chance; many share a name, few an address. */
export function personBy(random: Random): Person {
  const first = pick(random, FIRST_NAMES);
  const last = pick(random, LAST_NAMES);
  const number = Math.floor(random() * 10_000);
  const email = `${plain(first)}.${plain(last)}${number}@${pick(random, ['example.com', 'example.org', 'example.net'])}`;
  return { name: `${first} ${last}`, first, last, email, timezone: pick(random, TIMEZONES) };
}

function plain(text: string): string {
  return text
    .normalize('NFD')
    .replace(/[^A-Za-z0-9-]/g, '')
    .toLowerCase();
}

const FIRST_NAMES = [
  ...[
    'Amara',
    'Björn',
    'Chiara',
    'Dmitri',
    'Eleni',
    'Farid',
    'Greta',
    'Hiro',
    'Ines',
    'Jonas',
    'Kavya',
    'Liam',
  ],
  ...[
    'Maëlle',
    'Noor',
    'Olu',
    'Petra',
    'Quinn',
    'Rosa',
    'Stefan',
    'Tomás',
    'Uma',
    'Viktor',
    'Wanda',
    'Yusuf',
  ],
];
const LAST_NAMES = [
  ...[
    'Abara',
    'Berg',
    'Castelli',
    'Dvořák',
    'Eriksen',
    'Fontaine',
    'Grau',
    'Haddad',
    'Ito',
    'Jansen',
    'Kaya',
  ],
  ...[
    'Lindqvist',
    'Moreau',
    'Nowak',
    'Okafor',
    'Papadakis',
    'Rossi',
    'Silva',
    'Tanaka',
    'Ueda',
    'Vogel',
    'Weiss',
  ],
];
const TIMEZONES = [
  ...['America/New_York', 'Europe/Berlin', 'America/Los_Angeles', 'Europe/London', 'Asia/Tokyo'],
  ...['Australia/Sydney', 'America/Sao_Paulo', 'Asia/Kolkata', 'Africa/Lagos', 'Pacific/Chatham'],
];
