alter table users add column if not exists last_calendly_sync timestamptz;
alter table users add column if not exists calendly_initial_sync_complete boolean default false;
alter table users add column if not exists calendly_webhook_enabled boolean default false;
alter table meetings add column if not exists synced_via_webhook boolean default false;
create table if not exists calendly_webhook_events (
  id uuid primary key default gen_random_uuid(),
  event_id text not null unique,
  event_type text not null,
  payload jsonb not null,
  user_id bigint references users (id) on delete set null,
  processed_at timestamptz,
  created_at timestamptz not null default now(),
  error text,
  attempts integer not null default 0,
  invitee_uri text,
  occurred_at timestamptz
);
create index if not exists calendly_webhook_events_created_idx on calendly_webhook_events (created_at);
create index if not exists calendly_webhook_events_user_idx on calendly_webhook_events (user_id);
create or replace function clean_old_webhook_events() returns integer language sql as $$
  with gone as (delete from calendly_webhook_events where created_at < now() - interval '30 days' returning 1)
  select count(*)::integer from gone
$$;
create or replace view calendly_sync_health as
select u.id as user_id, u.email, u.last_calendly_sync, u.calendly_initial_sync_complete, u.calendly_webhook_enabled,
  m.active as active_calendly_meetings, m.deleted as deleted_calendly_meetings, m.webhook as webhook_synced_meetings,
  m.last_sync as last_meeting_sync, (select count(*) from calendly_webhook_events e where e.user_id = u.id) as webhook_events_received
from users u
left join lateral (
  select count(*) filter (where not is_deleted) as active, count(*) filter (where is_deleted) as deleted,
    count(*) filter (where synced_via_webhook) as webhook, max(last_calendar_sync) as last_sync
  from meetings where user_id = u.id and meeting_source = 'calendly'
) m on true;
