/** Members of an organization and its groups. Calendly shows them to owners and admins. */
import { resourceTable } from './resource-table.js';

/** A complete listing lacks what was removed. */
const absence = { set: 'removed_at = now()', where: 'removed_at is null' };

export const members = resourceTable({
  table: 'calendly_members',
  columns: {
    user_uri: 'text',
    email: 'text',
    name: 'text',
    slug: 'text',
    timezone: 'text',
    role: 'text',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    removed_at: 'timestamptz',
  },
  from: {
    user_uri: 'user.uri',
    email: 'user.email',
    name: 'user.name',
    slug: 'user.slug',
    timezone: 'user.timezone',
  },
  absence,
  person: ({ user }) => (user as { email?: unknown } | null)?.email,
});

export const groups = resourceTable({
  table: 'calendly_groups',
  columns: {
    name: 'text',
    member_count: 'integer',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    removed_at: 'timestamptz',
  },
  from: {},
  absence,
});
