-- Undoes 005: drops what has its comment, and an index. Nothing of it holds data.

do $calendly$
declare
  item text;
begin
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';
  for item in
    -- What grant-read granted on tables that are not ours. Its policies go with the tables.
    select format('revoke select on %s from %I', to_regclass(granted ->> 'table'), granted ->> 'role')
    from pg_policy cross join lateral jsonb_array_elements(substring(obj_description(oid, 'pg_policy') from '\[.*')::jsonb)
      as granted
    where polname = 'calendly_sync_reader' and polrelid = to_regclass('calendly_events')
      and to_regclass(granted ->> 'table') is not null
      and exists (select from pg_roles where rolname = granted ->> 'role')
    union all
    select format('comment on policy calendly_sync_reader on %s is null', polrelid::regclass)
    from pg_policy where polname = 'calendly_sync_reader' and polrelid = to_regclass('calendly_events')
    union all
    -- One statement, because the views depend on each other.
    select 'drop view ' || string_agg(oid::regclass::text, ', ') from pg_class
    where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'v'
      and obj_description(oid, 'pg_class') like 'calendly-sync 005%'
    having count(*) > 0
    union all
    select format('drop function %s', oid::regprocedure) from pg_proc
    where pronamespace = quote_ident(current_schema())::regnamespace
      and obj_description(oid, 'pg_proc') like 'calendly-sync 005%'
    union all
    select 'drop index meeting_invitees_rescheduled_idx' from pg_index
    where indexrelid = to_regclass('meeting_invitees_rescheduled_idx') and indrelid = to_regclass('meeting_invitees')
  loop execute item; end loop;
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 005%';
