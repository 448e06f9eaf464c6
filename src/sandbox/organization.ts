/** The organization, its hosts with their tokens, and their event types, all as the API shows them. */
import { hexBy, type Random, shortIdBy, uuidBy } from './random.js';
import { asciiOf, FIRST_NAMES, LAST_NAMES, TIMEZONES } from './samples.js';

export type Role = 'owner' | 'admin' | 'user';
/** A Calendly user of the organization, with the personal access token that exists from the start. */
export type Host = ReturnType<typeof createHost>;

/** Resource URIs begin with this, whatever address the sandbox listens on: they are names, not addresses. */
export const CANONICAL = 'https://api.calendly.com';
export const uriOf = (...segments: string[]) => [CANONICAL, ...segments].join('/');
export const idOf = (uri: string) => uri.slice(uri.lastIndexOf('/') + 1);

const STAMPS = { created_at: '2021-03-01T08:30:00.000000Z', updated_at: '2024-11-05T16:20:11.284913Z' };

/** Creates the organization. Host 0 is the owner, host 2 an admin, all others plain members. */
export function createOrganization(random: Random, size: number) {
  const uri = uriOf('organizations', uuidBy(random));
  const hosts = Array.from({ length: size }, (_, index) => createHost(random, index, uri));
  return {
    uri,
    resource: { uri, name: 'Sandbox Inc.', kind: 'single', plan: 'standard', stage: 'paid', ...STAMPS },
    hosts,
    eventTypes: hosts.flatMap((host) =>
      EVENT_TYPES.map((_, position) => createEventType(random, host, position)),
    ),
  };
}

function createHost(random: Random, index: number, organization: string) {
  const round = Math.floor(index / FIRST_NAMES.length);
  const first = FIRST_NAMES[index % FIRST_NAMES.length] ?? '';
  const last = LAST_NAMES[(index * 7 + round) % LAST_NAMES.length] ?? '';
  const slug = asciiOf(`${first}-${last}${round > 0 ? `-${round + 1}` : ''}`);
  const role: Role = index === 0 ? 'owner' : index === 2 ? 'admin' : 'user';
  const profile = {
    // The second host is an old account, with an id of its time.
    uri: uriOf('users', index === 1 ? shortIdBy(random) : uuidBy(random)),
    name: `${first} ${last}`,
    slug,
    email: `${slug.replaceAll('-', '.')}@example.com`,
    scheduling_url: `https://calendly.com/${slug}`,
    timezone: TIMEZONES[index % TIMEZONES.length] ?? 'UTC',
    time_notation: index % 2 === 0 ? '12h' : '24h',
    locale: 'en',
    avatar_url: null,
    resource_type: 'User',
    ...STAMPS,
  };
  const uri = uriOf('organization_memberships', uuidBy(random));
  return {
    user: { ...profile, current_organization: organization },
    role,
    membership: { uri, role, organization, user: profile, ...STAMPS },
    token: `sandbox-token-${slug.replaceAll('-', '')}-${hexBy(random)}`,
  };
}

/** Retired event types are never listed, but meetings still name them. */
const EVENT_TYPES = [
  { name: 'Intro Call', duration: 15, kind: 'solo', active: true, retired: false },
  { name: '30 Minute Meeting', duration: 30, kind: 'solo', active: true, retired: false },
  { name: 'Deep Dive', duration: 60, kind: 'solo', active: true, retired: false },
  { name: 'Group Workshop', duration: 90, kind: 'group', active: true, retired: false },
  { name: 'Office Hours', duration: 45, kind: 'solo', active: false, retired: false },
  { name: 'Quick Sync', duration: 20, kind: 'solo', active: false, retired: true },
  { name: 'Onboarding Session', duration: 60, kind: 'group', active: false, retired: true },
] as const;

const USUAL = { type: 'StandardEventType', booking_method: 'instant', color: '#8247f5', locale: 'en' };
const NO_TEXT = { internal_note: null, description_plain: null, description_html: null };
const UNSET = {
  pooling_type: null,
  duration_options: null,
  locations: null,
  custom_questions: [],
};
const FLAGS = { secret: false, admin_managed: false, is_paid: false };

function createEventType(random: Random, { user }: Host, position: number) {
  const { retired, ...facts } = EVENT_TYPES[position] ?? EVENT_TYPES[0];
  const slug = facts.name.toLowerCase().replaceAll(' ', '-');
  const resource = {
    uri: uriOf('event_types', (retired ? shortIdBy : uuidBy)(random)),
    ...facts,
    slug,
    scheduling_url: `${user.scheduling_url}/${slug}`,
    position,
    ...USUAL,
    ...NO_TEXT,
    ...UNSET,
    ...FLAGS,
    deleted_at: retired ? '2024-06-18T07:45:30.552871Z' : (null as string | null),
    created_at: `2022-0${position + 1}-10T09:00:00.000000Z`,
    updated_at: '2024-06-18T07:45:30.552871Z',
    profile: { type: 'User', name: user.name, owner: user.uri },
  };
  return { owner: user.uri, retired, resource };
}
