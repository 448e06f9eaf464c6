-- Undoes 022: drops what has its comment, and restores what was there before. The data in what goes is lost;
-- `calendly-sync rollback` copies it first.

do $calendly$
declare
  schema_name constant text := quote_ident(current_schema());
  events constant text := schema_name || '.calendly_webhook_events';
  older constant text := schema_name || '.calendly_webhook_events_before_022';
  cleaning constant text := schema_name || '.clean_old_webhook_events()';
  health constant text := schema_name || '.calendly_sync_health';
  table_mark constant text := obj_description(to_regclass(older), 'pg_class');
  marked constant text[][] := array[
    ['view', health, obj_description(to_regclass(health), 'pg_class')],
    ['function', cleaning, obj_description(to_regprocedure(cleaning), 'pg_proc')],
    ['table', events, obj_description(to_regclass(events), 'pg_class')]
  ];
  before jsonb;
  item text;
begin
  -- As in the up file: all waits together end before deadlock_timeout.
  perform set_config('lock_timeout', greatest(10, min(case name
    when 'deadlock_timeout' then setting::integer * 0.45 else coalesce(nullif(setting::integer, 0), 1000)
  end))::integer::text, true) from pg_settings where name in ('lock_timeout', 'deadlock_timeout');

  -- What the application's own handler wrote in the meantime goes back to its table.
  if table_mark like 'calendly-sync 022%' and marked[3][3] like 'calendly-sync 022%' then
    execute format('insert into %1$s (event_id, event_type, payload, user_id, processed_at, created_at)
      select event_id, event_type, payload, user_id, processed_at, created_at from %2$s as events
      where not signature_verified and (user_id is null or exists (select from %3$s where id = events.user_id))
      on conflict do nothing', older, events, to_regclass('users'));
  end if;
  for i in 1..3 loop
    if marked[i][3] like 'calendly-sync 022%' then
      execute format('drop %s %s', marked[i][1], marked[i][2]);
    end if;
  end loop;
  for item in
    select format('alter table %s drop column %I', attrelid::regclass, attname)
    from pg_attribute
    where attrelid in (to_regclass('users'), to_regclass('meetings')) and not attisdropped
      and col_description(attrelid, attnum) like 'calendly-sync 022%'
    order by attrelid <> to_regclass('meetings'), attnum
  loop
    execute item;
  end loop;

  if table_mark like 'calendly-sync 022%' then
    execute format('alter table %s rename to calendly_webhook_events', older);
    execute format('drop policy if exists calendly_sync_closed on %s', events);
    if table_mark like '%"secured": false%' then
      execute format('alter table %s disable row level security', events);
    end if;
  end if;
  for i in reverse 3..1 loop
    before := substring(case i when 3 then table_mark else marked[i][3] end from '\{.*')::jsonb;
    continue when before is null;
    execute coalesce(before ->> 'definition', 'select');
    execute format('comment on %s %s is %L', marked[i][1], marked[i][2], before ->> 'comment');
    -- Grants are given again in their old order.
    for item in
      select case pass when 1 then format('revoke all on %s %s from %s', kind, marked[i][2], grantee_name)
        else format('grant %s on %s %s to %s', privilege_type, kind, marked[i][2], grantee_name) end
      from aclexplode((before ->> 'acl')::aclitem[]) with ordinality as acl (a, grantee, privilege_type, b, position)
      cross join lateral (select case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        case marked[i][1] when 'function' then 'function' else 'table' end) as names (grantee_name, kind)
      cross join generate_series(1, 2) as pass
      order by pass, position
    loop
      execute item;
    end loop;
  end loop;
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) as left_over from pg_description
where description like 'calendly-sync 022%' order by 1;
