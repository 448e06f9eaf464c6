/** The names of Calendly's resources beside meetings, in the order in which they are read. */
export const RESOURCE_NAMES = ['event-types', 'members', 'groups', 'routing-forms', 'contacts'] as const;
export type ResourceName = (typeof RESOURCE_NAMES)[number];

/** Which resources a sync reads, and how often. */
export interface ResourceSetting {
  names: readonly ResourceName[];
  /** `daily`: with the daily listing of the full window. */
  every: 'daily' | 'hourly';
}

/** The setting without one. */
export const DEFAULT_RESOURCES = 'daily';

/** Parses `off`, `daily` or `hourly`, and names after a comma. @throws Error */
export function parseResources(text: string): ResourceSetting {
  const items = text.split(',').map((item) => item.trim());
  if (items.length === 1 && items[0] === 'off') return { names: [], every: 'daily' };
  const names = RESOURCE_NAMES.filter((name) => items.includes(name));
  const wrong = items.find((item) => ![...RESOURCE_NAMES, 'daily', 'hourly'].includes(item));
  if (wrong === undefined) {
    return {
      names: names.length > 0 ? names : RESOURCE_NAMES,
      every: items.includes('hourly') ? 'hourly' : 'daily',
    };
  }
  throw new Error(`"${wrong}" is not one of daily, hourly, off, ${RESOURCE_NAMES.join(', ')}`);
}
