/** The tables of Calendly's resources beside meetings. */
import { contacts } from './contacts.js';
import { eventTypes } from './event-types.js';
import { groups, members } from './members.js';
import type { ResourceTable } from './resource-table.js';
import { routingForms, routingSubmissions } from './routing-forms.js';

export const RESOURCE_TABLES: readonly ResourceTable[] = [
  eventTypes,
  members,
  groups,
  routingForms,
  routingSubmissions,
  contacts,
];
