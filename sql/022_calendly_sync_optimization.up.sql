-- 022: what makes a sync incremental: its state on users, the webhook events, and a view of its health. It needs the
-- tables users and meetings and no other file. One statement: it is done as a whole or not at all, and can be run
-- again, in a SQL editor or with psql -f. What it creates has a comment that begins with 'calendly-sync 022' and keeps
-- what was replaced; the down file drops only that and restores the rest.

do $calendly$
declare
  users_table constant regclass := to_regclass('users');
  meetings_table constant regclass := to_regclass('meetings');
  schema_name constant text := quote_ident(current_schema());
  events constant text := schema_name || '.calendly_webhook_events';
  older constant text := schema_name || '.calendly_webhook_events_before_022';
  cleaning constant text := schema_name || '.clean_old_webhook_events()';
  health constant text := schema_name || '.calendly_sync_health';
  grantees constant text := concat_ws(', ', 'public',
    (select string_agg(rolname, ', ') from pg_roles where rolname in ('anon', 'authenticated')));
  has constant text[] := array(select attname from pg_attribute where attrelid = meetings_table);
  id_type text; by_user_id boolean; view_before jsonb; function_before jsonb; wanted record; item text;
begin
  if users_table is null or meetings_table is null then
    raise exception 'There is no table %.', case when users_table is null then 'users' else 'meetings' end
      using errcode = 'undefined_table', hint = 'Connect to the database of your application, with the schema of its '
        'tables in the search_path. If it has none, run 001_calendly_core.up.sql first, or calendly-sync migrate.';
  end if;
  -- Whoever waits for a table makes everybody behind wait too. An application may want the two tables in the other
  -- order: both waits together end before deadlock_timeout, when Postgres would end its statement instead of ours.
  perform set_config('lock_timeout', greatest(10, min(case name
    when 'deadlock_timeout' then setting::integer * 0.45 else coalesce(nullif(setting::integer, 0), 1000)
  end))::integer::text, true) from pg_settings where name in ('lock_timeout', 'deadlock_timeout');
  select format_type(atttypid, atttypmod) into strict id_type
  from pg_attribute where attrelid = users_table and attname = 'id';

  -- A view or function of somebody else that this file replaces; where they are ours already, what we replaced then.
  select case when pg_get_viewdef(oid) like '%of_events%' then substring(mark from '\{.*')::jsonb
    else jsonb_build_object('definition', format('create view %s as %s', health, pg_get_viewdef(oid)),
      'comment', mark, 'acl', relacl::text) end
  into view_before from pg_class cross join obj_description(oid, 'pg_class') as mark
  where oid = to_regclass(health) and relkind = 'v';
  select case when prosrc like '%signature_verified%' then substring(mark from '\{.*')::jsonb
    else jsonb_build_object('definition', pg_get_functiondef(oid), 'comment', mark, 'acl', proacl::text) end
  into function_before from pg_proc cross join obj_description(oid, 'pg_proc') as mark
  where oid = to_regprocedure(cleaning);

  -- The webhook events. A table that an older 022 left is open to others: it is put aside and closed, and its rows are
  -- copied. Nobody verified their signatures, so they are never applied.
  if not exists (select from pg_attribute where attrelid = to_regclass(events) and attname = 'signature_verified') then
    execute format('alter table if exists %s rename to calendly_webhook_events_before_022', events);
    -- No foreign key: a delivery must be kept while the application holds the user's row. What the application's own
    -- handler does not know has a default, because it may go on inserting; what an older table left null may be null.
    execute format($table$
      create table %s (
        id uuid primary key default gen_random_uuid(),
        event_id text not null unique, event_type text, payload jsonb,
        user_id %s, processed_at timestamptz, created_at timestamptz not null default now(),
        signature_verified boolean not null default false, -- only such a delivery is ever applied
        error text, attempts integer not null default 0, invitee_uri text, occurred_at timestamptz,
        waits_for text, host_uris text[] -- who holds the lock that it waits for; its hosts, if none is connected here
      )
    $table$, events, id_type);
    execute format('comment on table %s is %L', events, 'calendly-sync 022: webhook deliveries, each once');
    -- Columns that both have, with types of one kind: an older id may be a number.
    select string_agg(attname, ', ') into item from (
      select attname from pg_attribute join pg_type on pg_type.oid = atttypid
      where attrelid in (to_regclass(events), to_regclass(older)) and attnum > 0
      group by attname, typcategory having count(*) = 2) as common;
    if item ~ '\mevent_id\M' then
      execute format('insert into %s (%s) select %s from %s where event_id is not null on conflict do nothing', events,
        item, replace(item, 'created_at', 'coalesce(created_at, now())'), older);
    end if;
    select format('comment on table %s is %L', older, concat('calendly-sync: put aside by 022 ', jsonb_build_object(
      'comment', obj_description(oid, 'pg_class'), 'acl', relacl::text, 'secured', relrowsecurity, 'columns', item)))
    into item from pg_class where oid = to_regclass(older);
    execute coalesce(item, 'select');
    -- A role that wrote to the older table goes on: its rows are not verified, and it sees no others.
    for item in
      with grants as (
        select privilege_type, grantee::regrole::text as role from pg_class cross join lateral aclexplode(relacl)
        where oid = to_regclass(older) and grantee not in (0, relowner)
          and grantee::regrole::text not in ('anon', 'authenticated')
      )
      select format('grant %s on %s to %s', privilege_type, events, role) from grants
      union all
      select format('create policy calendly_sync_application on %s to %s using (not signature_verified)
        with check (not signature_verified)', events, string_agg(distinct role, ', ')) from grants having count(*) > 0
    loop execute item; end loop;
  end if;
  create index if not exists calendly_webhook_events_created_idx on calendly_webhook_events (created_at);
  create index if not exists calendly_webhook_events_user_idx on calendly_webhook_events (user_id, created_at);
  create index if not exists calendly_webhook_events_waiting_idx
    on calendly_webhook_events (event_id) where processed_at is null and signature_verified;
  create index if not exists calendly_webhook_events_unmatched_idx
    on calendly_webhook_events using gin (host_uris) where host_uris is not null;
  for item in
    select format(statement, oid::regclass, grantees)
    from pg_class cross join (values ('alter table %s enable row level security'),
      ('create policy calendly_sync_closed on %s using (false) with check (false)'),
      ('revoke all on %s from %s')) as closing (statement)
    where oid in (to_regclass(events), to_regclass(older))
      and case substring(statement from '^\w+') when 'revoke' then relacl is not null when 'alter' then not relrowsecurity
        else not exists (select from pg_policy where polrelid = pg_class.oid and polname = 'calendly_sync_closed') end
  loop execute item; end loop;

  -- SELECT clean_old_webhook_events(): deletes what is older than 30 days and returns how many rows that were. It keeps
  -- a delivery that waits to be applied. A role that row-level security hides rows from gets an error instead of a 0.
  execute case when function_before is null then 'select' else format('drop function %s', cleaning) end;
  execute format($function$
    create or replace function %s returns integer
    language sql set search_path = '' set row_security = off
    as $body$
      with deleted as (
        delete from %s
        where created_at < now() - interval '30 days' and (processed_at is not null or not signature_verified)
        returning 1
      )
      select count(*)::integer from deleted
    $body$
  $function$, cleaning, events);
  execute format('comment on function %s is %L', cleaning,
    concat('calendly-sync 022: deletes old webhook events', '; it replaced ' || function_before::text));
  execute format('revoke all on function %s from %s', cleaning, grantees);

  -- The application's tables are locked last, for a moment, and in this order. No column here writes a row.
  for wanted in
    select * from (values
      (1, meetings_table, 'synced_via_webhook', 'boolean default false'),
      (2, users_table, 'last_calendly_sync', 'timestamptz'),
      (3, users_table, 'calendly_initial_sync_complete', 'boolean default false'),
      (4, users_table, 'calendly_webhook_enabled', 'boolean default false')
    ) as columns (position, host, name, type)
    where not exists (select from pg_attribute where attrelid = host and attname = name)
    order by position
  loop
    execute format('alter table %s add column %I %s', wanted.host, wanted.name, wanted.type);
    execute format('comment on column %s.%I is %L', wanted.host, wanted.name, 'calendly-sync 022');
  end loop;
  -- With it the view and `health` count without reading the rows. An application's table gets no index of ours.
  execute case when obj_description(meetings_table, 'pg_class') like 'calendly-sync %' then 'create index if not exists
    calendly_meetings_health_idx on meetings (user_id) include (is_deleted, synced_via_webhook, last_calendar_sync,
    calendly_created_at, canceled_at) where meeting_source = ''calendly''' else 'select' end;

  -- SELECT * FROM calendly_sync_health: one row per user. Meetings and events are counted apart, because a join of the
  -- two would multiply them. It uses the columns that meetings has: the application's, ours, or both.
  by_user_id := has @> '{user_id}' and not has @> '{userid}' and id_type = (
    select format_type(atttypid, atttypmod) from pg_attribute where attrelid = meetings_table and attname = 'user_id');
  item := format(
    $view$
      select users.id as user_id, %s as email,
        users.last_calendly_sync, users.calendly_initial_sync_complete, users.calendly_webhook_enabled,
        coalesce(of_meetings.active, 0) as active_calendly_meetings,
        coalesce(of_meetings.deleted, 0) as deleted_calendly_meetings,
        coalesce(of_meetings.by_webhook, 0) as webhook_synced_meetings,
        of_meetings.last_sync as last_meeting_sync,
        coalesce(of_events.received, 0) as webhook_events_received
      from %s as users
      left join (
        select %s as owner, count(*) filter (where %s is not true) as active, count(*) filter (where %4$s) as deleted,
          count(*) filter (where meetings.synced_via_webhook) as by_webhook, max(%s) as last_sync
        from %s as meetings where %s group by 1
      ) as of_meetings on of_meetings.owner = %s
      left join (select user_id, count(*) as received from %s group by 1) as of_events on of_events.user_id = users.id
    $view$,
    case
      when exists (select from pg_attribute where attrelid = users_table and attname = 'email') then 'users.email'
      when to_regclass('calendly_accounts') is null then 'null::text'
      else '(select email from calendly_accounts as a where a.user_id = users.id)'
    end,
    users_table,
    case
      when by_user_id then 'meetings.user_id'
      when has @> '{user_id,userid}' then 'coalesce(meetings.user_id::text, meetings.userid::text)'
      when has @> '{user_id}' then 'meetings.user_id::text'
      when has @> '{userid}' then 'meetings.userid::text'
      else 'null::text'
    end,
    case when has @> '{is_deleted}' then 'meetings.is_deleted::boolean' else 'false' end,
    case when has @> '{last_calendar_sync}' then 'meetings.last_calendar_sync' else 'null::timestamptz' end,
    meetings_table,
    case
      when has @> '{meeting_source}' then 'meetings.meeting_source = ''calendly'''
      when has @> '{calendly_event_uuid}' then 'meetings.calendly_event_uuid is not null'
      else 'false'
    end,
    case when by_user_id then 'users.id' else 'users.id::text' end,
    events
  );
  -- Before Postgres 15 a view has its owner's rights: there it shows its rows to nobody else.
  item := case when current_setting('server_version_num')::integer >= 150000
    then format('view %s with (security_invoker = true) as %s', health, item)
    else format('view %s as %s where pg_has_role(current_user, (%s), ''usage'')', health, item,
      format('select relowner from pg_class where oid = %L::regclass', events))
  end;
  begin
    execute 'create or replace ' || item;
  exception when invalid_table_definition then -- a view with other columns
    execute format('drop view %s; create ', health) || item;
  end;
  execute format('comment on view %s is %L', health,
    concat('calendly-sync 022: sync state and counts per user', '; it replaced ' || view_before::text));
  execute format('revoke all on table %s from %s', health, grantees);
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 022%';
