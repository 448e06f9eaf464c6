/** Contacts: the address book of one Calendly user. */
import { isJson, type Json } from '../database/table.js';
import { resourceTable } from './resource-table.js';

export const contacts = resourceTable({
  table: 'calendly_contacts',
  columns: {
    name: 'text',
    primary_email: 'text',
    emails: 'jsonb',
    phones: 'jsonb',
    company: 'text',
    job_title: 'text',
    timezone: 'text',
    custom_fields: 'jsonb',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    deleted_at: 'timestamptz',
  },
  from: { primary_email: primaryEmail, phones: 'phone_numbers' },
  absence: { set: 'deleted_at = now()', where: 'deleted_at is null' },
  person: ({ email, primary_email: primary, emails }) => [email, primary, emails],
});

/** The address that is marked, or the first one. */
function primaryEmail(raw: Json): unknown {
  const emails = (Array.isArray(raw.emails) ? raw.emails : []).map((one) =>
    isJson(one) ? one : { email: one },
  );
  const marked = emails.find(({ primary, is_primary }: Json) => primary === true || is_primary === true);
  return raw.primary_email ?? raw.email ?? (marked ?? emails[0])?.email;
}
