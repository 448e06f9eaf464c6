-- 007: what Calendly has besides meetings: event types, members, groups, routing forms, their submissions, contacts; and
-- when each of them was last read for which account. raw is Calendly's JSON; the other columns derive from it.
-- One statement: it is done as a whole or not at all, and can be run again.

do $calendly$
declare
  -- Which account and organization brought a row, and when it was last written.
  common constant text := 'account_id bigint not null references calendly_accounts (id) on delete cascade,
    organization_uri text, synced_at timestamptz not null default clock_timestamp(), raw jsonb';
begin
  -- A foreign key locks the table that it refers to. A wait for it blocks others: never for longer than this.
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';

  perform calendly_sync_table('calendly_resource_states', $$
    account_id bigint not null references calendly_accounts (id) on delete cascade,
    resource text not null,
    checked_at timestamptz not null default now(),
    due_at timestamptz not null default now(), -- not before, if it is read hourly
    complete_at timestamptz, -- when it was last listed to the end
    cursors jsonb not null default '{}', -- for each listing: the newest row of the last one that was read as far as needed
    note text, -- why it could not be read; null: it was
    primary key (account_id, resource)
  $$, '007: when each resource was read, and why not');

  -- Not a foreign key of meetings: many meetings have a type that is deleted.
  perform calendly_sync_table('calendly_event_types', $$
    uri text primary key,
    name text, slug text, active boolean, kind text, pooling_type text, duration integer, duration_options integer[],
    internal_note text, description text, scheduling_url text, profile_type text, profile_name text,
    profile_owner_uri text, secret boolean, is_paid boolean, custom_questions jsonb,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
    unlisted boolean not null default false, -- meetings name it, or it was listed before
    asked_at timestamptz, -- when an unlisted one was asked for
  $$ || common, '007: event types, kept when they are deleted');
  create index if not exists calendly_event_types_account_idx on calendly_event_types (account_id);

  perform calendly_sync_table('calendly_members', $$
    uri text primary key,
    user_uri text, email text, name text, slug text, timezone text, role text,
    created_at timestamptz, updated_at timestamptz, removed_at timestamptz,
  $$ || common, '007: members of the organization, kept when they leave');
  create index if not exists calendly_members_account_idx on calendly_members (account_id);

  perform calendly_sync_table('calendly_groups', $$
    uri text primary key,
    name text, member_count integer, created_at timestamptz, updated_at timestamptz, removed_at timestamptz,
  $$ || common, '007: groups of the organization');
  create index if not exists calendly_groups_account_idx on calendly_groups (account_id);

  perform calendly_sync_table('calendly_routing_forms', $$
    uri text primary key,
    name text, status text, questions jsonb,
    created_at timestamptz, updated_at timestamptz, removed_at timestamptz,
  $$ || common, '007: routing forms');
  create index if not exists calendly_routing_forms_account_idx on calendly_routing_forms (account_id);

  perform calendly_sync_table('calendly_routing_submissions', $$
    uri text primary key,
    form_uri text, submitter_uri text, submitter_type text, -- the invitee, if the submission led to a booking
    result_type text, result_value jsonb, answers jsonb,
    utm_source text, utm_medium text, utm_campaign text, utm_content text, utm_term text, salesforce_uuid text,
    created_at timestamptz, updated_at timestamptz,
  $$ || common, '007: submissions of routing forms');
  create index if not exists calendly_routing_submissions_account_idx on calendly_routing_submissions (account_id);
  create index if not exists calendly_routing_submissions_form_idx
    on calendly_routing_submissions (form_uri, created_at desc);

  perform calendly_sync_table('calendly_contacts', $$
    uri text primary key,
    name text, primary_email text, emails jsonb, phones jsonb, company text, job_title text, timezone text,
    custom_fields jsonb, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
  $$ || common, '007: contacts, kept when they are deleted');
  create index if not exists calendly_contacts_account_idx on calendly_contacts (account_id);
  create index if not exists calendly_contacts_email_idx on calendly_contacts (lower(primary_email));
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 007%';
