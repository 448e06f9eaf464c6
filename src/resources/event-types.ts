/** Event types. Meetings also name deleted ones, which no listing has: those are asked for one by one. */
import { resourceTable } from './resource-table.js';

export const eventTypes = resourceTable({
  table: 'calendly_event_types',
  columns: {
    name: 'text',
    slug: 'text',
    active: 'boolean',
    kind: 'text',
    pooling_type: 'text',
    duration: 'integer',
    duration_options: 'integer[]',
    internal_note: 'text',
    description: 'text',
    scheduling_url: 'text',
    profile_type: 'text',
    profile_name: 'text',
    profile_owner_uri: 'text',
    secret: 'boolean',
    is_paid: 'boolean',
    custom_questions: 'jsonb',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    deleted_at: 'timestamptz',
    unlisted: 'boolean',
  },
  from: {
    description: 'description_plain',
    profile_type: 'profile.type',
    profile_name: 'profile.name',
    profile_owner_uri: 'profile.owner',
    unlisted: () => false,
  },
  // Whether it is deleted, only the request for it says.
  absence: { set: 'unlisted = true, asked_at = null', where: 'not unlisted and deleted_at is null' },
});
