-- Undoes 022: drops what bears its comment, and nothing that was there before it. The data in it is gone then;
-- `calendly-sync rollback` writes it to a file first.

do $calendly$
declare
  wanted record;
  timeout_ms integer;
  started timestamptz := clock_timestamp();
begin
  -- Whoever waits for a table makes everybody behind wait too: never for longer than this, for all tables together. When the
  -- application wants them in the other order, waiting helps nobody: so the second is waited for only shortly, and all of it ends
  -- before deadlock_timeout, after which Postgres would end the application's statement instead of ours.
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  select min(setting::integer * case name when 'deadlock_timeout' then 0.9 else 1 end)::integer into strict timeout_ms
  from pg_settings where name in ('lock_timeout', 'deadlock_timeout');
  perform set_config('lock_timeout', greatest(10, timeout_ms * 3 / 4)::text, true);

  for wanted in
    select command
    from (
      select 1 as position, format('drop view %I.calendly_sync_health', current_schema()) as command
      where obj_description(to_regclass(format('%I.calendly_sync_health', current_schema())), 'pg_class') like 'calendly-sync 022%'
      union all
      select 2, format('drop function %I.clean_old_webhook_events()', current_schema())
      from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
      where nspname = current_schema() and proname = 'clean_old_webhook_events' and pronargs = 0
        and obj_description(pg_proc.oid, 'pg_proc') like 'calendly-sync 022%'
      union all
      select 3, format('drop table %I.calendly_webhook_events', current_schema())
      where obj_description(to_regclass(format('%I.calendly_webhook_events', current_schema())), 'pg_class') like 'calendly-sync 022%'
      union all
      -- What a table of these names that was there before got:
      select 4, format('drop index %I.%I', current_schema(), index_name)
      from unnest(array['calendly_webhook_events_created_idx', 'calendly_webhook_events_user_idx',
        'calendly_webhook_events_waiting_idx']) as index_name
      where to_regclass(format('%I.%I', current_schema(), index_name)) is not null
        and coalesce(obj_description(to_regclass(format('%I.calendly_webhook_events', current_schema())), 'pg_class'), '')
          not like 'calendly-sync 022%'
      union all
      select 5, format('alter table %s %s', attrelid::regclass, string_agg(format('drop column %I', attname), ', '))
      from pg_attribute
      where attrelid in (
          to_regclass('users'), to_regclass('meetings'), to_regclass(format('%I.calendly_webhook_events', current_schema()))
        )
        and attnum > 0 and not attisdropped and col_description(attrelid, attnum) like 'calendly-sync 022%'
        and coalesce(obj_description(attrelid, 'pg_class'), '') not like 'calendly-sync 022%'
      group by attrelid
    ) as commands
    order by position, command
  loop
    execute wanted.command;
    perform set_config(
      'lock_timeout',
      greatest(10, least(timeout_ms / 4, timeout_ms - extract(epoch from clock_timestamp() - started) * 1000))::integer::text,
      true
    );
  end loop;
end
$calendly$;
