-- Undoes 022: drops what bears its comment, and nothing that was there before it. The data in it is gone then;
-- `calendly-sync rollback` writes it to a file first.

do $calendly$
declare
  wanted record;
  timeout_ms integer;
  started timestamptz := clock_timestamp();
begin
  -- Whoever waits for a table makes everybody behind wait too: never for longer than this, for all tables together.
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  select setting::integer into strict timeout_ms from pg_settings where name = 'lock_timeout';

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
      greatest(50, timeout_ms - extract(epoch from clock_timestamp() - started) * 1000)::integer::text,
      true
    );
  end loop;
end
$calendly$;
