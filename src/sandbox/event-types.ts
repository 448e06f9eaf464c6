/**
 * The event types that each host offers, offered once, or never listed again: meetings go on pointing at retired ones.
 * Deterministic from the seed.
 */
import { shortIdOf, uriOf, uuidOf } from './identifiers.js';
import type { Host } from './people.js';
import type { EventTypeResource } from './resources.js';

/** An event type and how the sandbox treats it. */
interface CatalogEntry {
  resource: EventTypeResource;
  /** Deleted at Calendly: meetings still name it, no listing does. */
  retired: boolean;
}

const OFFERS = [
  { name: 'Intro Call', minutes: 15, kind: 'solo', active: true, retired: false },
  { name: '30 Minute Meeting', minutes: 30, kind: 'solo', active: true, retired: false },
  { name: 'Deep Dive', minutes: 60, kind: 'solo', active: true, retired: false },
  { name: 'Group Workshop', minutes: 90, kind: 'group', active: true, retired: false },
  { name: 'Office Hours', minutes: 45, kind: 'solo', active: false, retired: false },
  { name: 'Quick Sync', minutes: 20, kind: 'solo', active: false, retired: true },
  { name: 'Onboarding Session', minutes: 60, kind: 'group', active: false, retired: true },
] as const;

/** All event types of the organization, by the URI of the host who owns them. */
export type Catalog = ReadonlyMap<string, readonly CatalogEntry[]>;

export function createCatalog(seed: number, hosts: readonly Host[]): Catalog {
  return new Map(hosts.map((host, index) => [host.user.uri, entriesOf(seed, host, index)]));
}

function entriesOf(seed: number, host: Host, index: number): CatalogEntry[] {
  return OFFERS.map((offer, position) => {
    const slug = offer.name.toLowerCase().replaceAll(' ', '-');
    const id = offer.retired ? shortIdOf(seed, 301, index, position) : uuidOf(seed, 301, index, position);
    const resource: EventTypeResource = {
      uri: uriOf('event_types', id),
      name: offer.name,
      active: offer.active,
      slug,
      scheduling_url: `${host.user.scheduling_url}/${slug}`,
      duration: offer.minutes,
      kind: offer.kind,
      pooling_type: null,
      type: 'StandardEventType',
      color: '#8247f5',
      created_at: `2022-0${position + 1}-10T09:00:00.000000Z`,
      updated_at: '2024-06-18T07:45:30.552871Z',
      internal_note: null,
      description_plain: position === 2 ? 'An hour for the details.' : null,
      description_html: position === 2 ? '<p>An hour for the details.</p>' : null,
      profile: { type: 'User', name: host.user.name, owner: host.user.uri },
      secret: false,
      booking_method: 'instant',
      custom_questions: [],
      deleted_at: null,
    };
    return { resource, retired: offer.retired };
  });
}
