-- Undoes 022: drops what has its comment, and restores what was there before, which the comment keeps. The data in what
-- goes is lost; `calendly-sync rollback` copies it first. One statement: it is done as a whole or not at all.

do $calendly$
declare
  schema_name constant text := quote_ident(current_schema());
  events constant text := schema_name || '.calendly_webhook_events';
  older constant text := schema_name || '.calendly_webhook_events_before_022';
  cleaning constant text := schema_name || '.clean_old_webhook_events()';
  health constant text := schema_name || '.calendly_sync_health';
  put_aside constant text := obj_description(to_regclass(older), 'pg_class');
  item text;
begin
  -- As in the up file: all waits together end before deadlock_timeout.
  perform set_config('lock_timeout', greatest(10, min(case name
    when 'deadlock_timeout' then setting::integer * 0.45 else coalesce(nullif(setting::integer, 0), 1000)
  end))::integer::text, true) from pg_settings where name in ('lock_timeout', 'deadlock_timeout');
  for item in
    with objects as (
      select *, substring(coalesce(aside, mark) from '\{.*')::jsonb as before
      from (
        values
          ('view', health, obj_description(to_regclass(health), 'pg_class'), null),
          ('function', cleaning, obj_description(to_regprocedure(cleaning), 'pg_proc'), null),
          ('table', events, obj_description(to_regclass(events), 'pg_class'), put_aside)
      ) as objects (kind, name, mark, aside)
      where coalesce(aside, mark) like 'calendly-sync%'
    ), grants as (
      select kind, name, position, concat_ws(' ', privilege_type, 'on', nullif(kind, 'view'), name) as granted,
        case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as role
      from objects cross join lateral aclexplode((before ->> 'acl')::aclitem[])
        with ordinality as acl (grantor, grantee, privilege_type, is_grantable, position)
    ), statements (step, position, kind, statement) as (
    -- What the application's handler wrote in the meantime goes back to its table, which may require more than ours.
    select 1, 0, kind, format('insert into %s (%s) select %s from %s as events where not signature_verified
        and (user_id is null or exists (select from users where id = events.user_id)) %s on conflict do nothing',
      older, columns, replace(columns, 'processed_at', 'coalesce(processed_at, created_at)'), name,
      (select string_agg(format('and %s is not null', case when shared then attname else 'null' end), ' ')
        from pg_attribute cross join lateral (select attname = any (string_to_array(columns, ', '))) as of_both (shared)
        where attrelid = to_regclass(older) and attnum > 0 and attnotnull and attname <> 'processed_at'
          and (shared or not atthasdef and attidentity = '')))
    from objects cross join lateral (select before ->> 'columns') as common (columns)
    where aside is not null and mark like 'calendly-sync 022%' and columns ~ '\mevent_id\M'
    union all
    select 2, 0, kind, format('drop %s %s', kind, name) from objects where mark like 'calendly-sync 022%'
    union all
    select case attrelid when to_regclass('meetings') then 3 else 4 end, attnum, '',
      format('alter table %s drop column %I', attrelid::regclass, attname)
    from pg_attribute
    where attrelid in (to_regclass('users'), to_regclass('meetings')) and not attisdropped
      and col_description(attrelid, attnum) like 'calendly-sync 022%'
    union all
    select 5, 0, kind, format('alter table %s rename to calendly_webhook_events;
      drop policy calendly_sync_closed on %s; alter table %2$s %s row level security',
      older, name, case before ->> 'secured' when 'true' then 'enable' else 'disable' end)
    from objects where aside is not null
    union all
    select 6, 0, kind, before ->> 'definition' from objects where before ? 'definition'
    union all
    select 7, 0, kind, format('comment on %s %s is %L', kind, name, before ->> 'comment')
    from objects where before is not null
    union all
    select 8, position, kind, format('revoke all %s from %s', substring(granted from ' on .*'), role) from grants
    union all
    select 9, position, kind, format('grant %s to %s', granted, role) from grants
    )
    select statement from statements order by step, kind desc, position
  loop execute item; end loop;
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 022%';
