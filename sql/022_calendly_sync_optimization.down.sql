drop view if exists calendly_sync_health;
drop function if exists clean_old_webhook_events();
drop table if exists calendly_webhook_events;
alter table meetings drop column if exists synced_via_webhook;
alter table users
  drop column if exists last_calendly_sync,
  drop column if exists calendly_initial_sync_complete,
  drop column if exists calendly_webhook_enabled;
