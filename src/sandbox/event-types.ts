/** The event types of each host. Retired ones are never listed, but meetings still name them. Deterministic. */
import { shortIdOf, uriOf, uuidOf } from './ids.js';
import type { Host } from './people.js';

const OFFERS = [
  { name: 'Intro Call', duration: 15, kind: 'solo', active: true, retired: false },
  { name: '30 Minute Meeting', duration: 30, kind: 'solo', active: true, retired: false },
  { name: 'Deep Dive', duration: 60, kind: 'solo', active: true, retired: false },
  { name: 'Group Workshop', duration: 90, kind: 'group', active: true, retired: false },
  { name: 'Office Hours', duration: 45, kind: 'solo', active: false, retired: false },
  { name: 'Quick Sync', duration: 20, kind: 'solo', active: false, retired: true },
  { name: 'Onboarding Session', duration: 60, kind: 'group', active: false, retired: true },
] as const;

/** An event type of a host, and whether it was deleted at Calendly. */
export type EventType = ReturnType<typeof createEventTypes>[number];

/** Creates the event types of all hosts. */
export function createEventTypes(seed: number, hosts: readonly Host[]) {
  return hosts.flatMap(({ user }, index) =>
    OFFERS.map(({ retired, ...offer }, position) => {
      const slug = offer.name.toLowerCase().replaceAll(' ', '-');
      const id = retired ? shortIdOf(seed, 301, index, position) : uuidOf(seed, 301, index, position);
      const resource = {
        uri: uriOf('event_types', id),
        ...offer,
        slug,
        scheduling_url: `${user.scheduling_url}/${slug}`,
        duration_options: null,
        pooling_type: null,
        type: 'StandardEventType',
        color: '#8247f5',
        created_at: `2022-0${position + 1}-10T09:00:00.000000Z`,
        updated_at: '2024-06-18T07:45:30.552871Z',
        internal_note: null,
        description_plain: position === 2 ? 'An hour for the details.' : null,
        description_html: position === 2 ? '<p>An hour for the details.</p>' : null,
        profile: { type: 'User', name: user.name, owner: user.uri },
        secret: false,
        booking_method: 'instant',
        custom_questions: [],
        deleted_at: null,
        admin_managed: false,
        is_paid: false,
        locations: null,
        position,
        locale: 'en',
      };
      return { owner: user.uri, retired, resource };
    }),
  );
}
