-- 022: what makes a sync incremental: its state on users, the webhook events, and a view of the health of it all.
-- Runs as it is, with psql -f or in a SQL editor, and twice without harm. What it makes bears a comment that begins with
-- 'calendly-sync 022'; rolling back drops what bears that comment and nothing else.

-- The application's tables come first and are locked for a moment: no column here writes a row.
do $calendly$
declare
  wanted record;
  item text;
  timeout_ms integer;
  started timestamptz := clock_timestamp();
begin
  -- Whoever waits for a table makes everybody behind wait too: never for longer than this, for both tables together. When the
  -- application wants them in the other order, waiting helps nobody: so the second is waited for only shortly, and all of it ends
  -- before deadlock_timeout, after which Postgres would end the application's statement instead of ours.
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  select min(setting::integer * case name when 'deadlock_timeout' then 0.9 else 1 end)::integer into strict timeout_ms
  from pg_settings where name in ('lock_timeout', 'deadlock_timeout');
  perform set_config('lock_timeout', greatest(10, timeout_ms * 3 / 4)::text, true);

  for wanted in
    select
      columns.host,
      string_agg(format('add column %I %s', columns.name, columns.type), ', ' order by position) as additions,
      array_agg(columns.name) as names
    from (
      values
        (1, to_regclass('meetings'), 'synced_via_webhook', 'boolean default false'),
        (2, to_regclass('users'), 'last_calendly_sync', 'timestamptz'),
        (3, to_regclass('users'), 'calendly_initial_sync_complete', 'boolean default false'),
        (4, to_regclass('users'), 'calendly_webhook_enabled', 'boolean default false')
    ) as columns (position, host, name, type)
    where not exists (
      select from pg_attribute where attrelid = columns.host and attname = columns.name and not attisdropped
    )
    group by columns.host
    order by min(position)
  loop
    execute format('alter table %s %s', wanted.host, wanted.additions);
    foreach item in array wanted.names loop
      execute format('comment on column %s.%I is %L', wanted.host, item, 'calendly-sync 022');
    end loop;
    perform set_config(
      'lock_timeout',
      greatest(10, least(timeout_ms / 4, timeout_ms - extract(epoch from clock_timestamp() - started) * 1000))::integer::text,
      true
    );
  end loop;
end
$calendly$;

do $calendly$
declare
  id_type text;
  events regclass := to_regclass(format('%I.calendly_webhook_events', current_schema()));
  wanted record;
begin
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  if events is null then
    select format_type(atttypid, atttypmod) into strict id_type
    from pg_attribute
    where attrelid = to_regclass('users') and attname = 'id' and not attisdropped;

    execute format($table$
      create table calendly_webhook_events (
        id uuid primary key default gen_random_uuid(),
        event_id text not null unique,
        event_type text not null,
        payload jsonb not null,
        user_id %s references %s (id) on delete set null,
        processed_at timestamptz,
        created_at timestamptz not null default now(),
        error text,
        attempts integer not null default 0,
        invitee_uri text,
        occurred_at timestamptz
      )
    $table$, id_type, to_regclass('users'));
    comment on table calendly_webhook_events is 'calendly-sync 022: webhook deliveries, each once';
    events := to_regclass(format('%I.calendly_webhook_events', current_schema()));
  end if;

  -- The table that an older integration left behind is taken over: it keeps its rows and gets what it lacks.
  for wanted in
    select columns.name, columns.type
    from (
      values
        ('error', 'text'),
        ('attempts', 'integer not null default 0'),
        ('invitee_uri', 'text'),
        ('occurred_at', 'timestamptz')
    ) as columns (name, type)
    where not exists (
      select from pg_attribute where attrelid = events and attname = columns.name and not attisdropped
    )
  loop
    execute format('alter table %s add column %I %s', events, wanted.name, wanted.type);
    execute format('comment on column %s.%I is %L', events, wanted.name, 'calendly-sync 022');
  end loop;
  if to_regclass(format('%I.calendly_webhook_events_created_idx', current_schema())) is null then
    execute format('create index calendly_webhook_events_created_idx on %s (created_at)', events);
  end if;
  if to_regclass(format('%I.calendly_webhook_events_waiting_idx', current_schema())) is null then
    -- What was not applied is looked for often, and is next to nothing among what was.
    execute format(
      'create index calendly_webhook_events_waiting_idx on %s (event_id) where processed_at is null', events
    );
  end if;
  if to_regclass(format('%I.calendly_webhook_events_user_idx', current_schema())) is null then
    execute format('create index calendly_webhook_events_user_idx on %s (user_id)', events);
  end if;
end
$calendly$;

-- SELECT clean_old_webhook_events(): deletes what is older than 30 days and returns how many rows that were.
do $calendly$
declare
  stranger text;
begin
  if exists (
    select from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
    where nspname = current_schema() and proname = 'clean_old_webhook_events' and pronargs = 0
      and (prorettype <> 'integer'::regtype or proretset)
  ) then
    drop function clean_old_webhook_events();
  end if;
  execute format($function$
    create or replace function %1$I.clean_old_webhook_events() returns integer
    language sql
    set search_path = ''
    as $body$
      with gone as (
        delete from %1$I.calendly_webhook_events where created_at < now() - interval '30 days' returning 1
      )
      select count(*)::integer from gone
    $body$
  $function$, current_schema());
  execute (
    select format('comment on function %I.clean_old_webhook_events() is %L', current_schema(),
      format('calendly-sync 022: deletes webhook events older than 30 days (definition %s)', md5(prosrc)))
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
    where nspname = current_schema() and proname = 'clean_old_webhook_events' and pronargs = 0
  );
  for stranger in
    select 'public' union all select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on function %I.clean_old_webhook_events() from %s', current_schema(), stranger);
  end loop;
end
$calendly$;

-- SELECT * FROM calendly_sync_health: one row per user. Each count is taken on its own, because a join of meetings and
-- events would multiply them.
do $calendly$
declare
  view_name constant text := format('%I.calendly_sync_health', current_schema());
  path constant text := current_setting('search_path');
  email_source text;
  definition text;
  stranger text;
begin
  select case
    when exists (
      select from pg_attribute where attrelid = to_regclass('users') and attname = 'email' and not attisdropped
    )
    then 'users.email'
    else '(select accounts.email from calendly_accounts as accounts where accounts.user_id = users.id)'
  end into email_source;
  definition := format($view$
    select
      users.id as user_id,
      %s as email,
      users.last_calendly_sync,
      users.calendly_initial_sync_complete,
      users.calendly_webhook_enabled,
      of_meetings.active as active_calendly_meetings,
      of_meetings.deleted as deleted_calendly_meetings,
      of_meetings.by_webhook as webhook_synced_meetings,
      of_meetings.last_sync as last_meeting_sync,
      (select count(*) from calendly_webhook_events as events where events.user_id = users.id) as webhook_events_received
    from %s as users
    cross join lateral (
      select
        count(*) filter (where meetings.is_deleted is not true) as active,
        count(*) filter (where meetings.is_deleted) as deleted,
        count(*) filter (where meetings.synced_via_webhook) as by_webhook,
        max(meetings.last_calendar_sync) as last_sync
      from %s as meetings
      where meetings.user_id = users.id and meetings.meeting_source = 'calendly'
    ) as of_meetings
  $view$, email_source, to_regclass('users'), to_regclass('meetings'));

  begin
    execute format('create or replace view %s as %s', view_name, definition);
  exception
    -- One with other columns was there: its columns cannot be replaced, only the view.
    when invalid_table_definition then
      execute format('drop view %s', view_name);
      execute format('create view %s as %s', view_name, definition);
  end;
  -- Before Postgres 15 a view always has its owner's rights; there, nobody else is let in at all.
  if current_setting('server_version_num')::integer >= 150000 then
    execute format('alter view %s set (security_invoker = true)', view_name);
  end if;
  for stranger in
    select 'public' union all select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on %s from %s', view_name, stranger);
  end loop;
  -- The definition's fingerprint, with all names qualified, tells later whether somebody replaced the view.
  perform set_config('search_path', '', true);
  execute format('comment on view %s is %L', view_name, format(
    'calendly-sync 022: sync state and counts per user (definition %s)', md5(pg_get_viewdef(to_regclass(view_name)))
  ));
  perform set_config('search_path', path, true);
end
$calendly$;

-- Closed to everybody but the owner: a hosted Postgres may publish this schema through an API to anon and authenticated,
-- and its default grants are theirs already. Only tables that calendly-sync made; those of others keep their rules.
do $calendly$
declare
  item record;
  stranger text;
begin
  for item in
    select tables.oid, tables.oid::regclass as name, tables.relrowsecurity as secured
    from pg_class as tables
    where tables.oid in (to_regclass(format('%I.calendly_webhook_events', current_schema())))
      and obj_description(tables.oid, 'pg_class') like 'calendly-sync %'
  loop
    if not item.secured then
      execute format('alter table %s enable row level security', item.name);
    end if;
    if not exists (select from pg_policy where polrelid = item.oid and polname = 'calendly_sync_closed') then
      execute format('create policy calendly_sync_closed on %s using (false) with check (false)', item.name);
    end if;
    for stranger in
      select 'public' union all select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated')
    loop
      execute format('revoke all on table %s from %s', item.name, stranger);
      execute (
        select coalesce(string_agg(format('revoke all on sequence %s from %s;', objid::regclass, stranger), ' '), 'select')
        from pg_depend
        where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and refobjid = item.oid and deptype in ('a', 'i')
          and exists (select from pg_class where pg_class.oid = objid and relkind = 'S')
      );
    end loop;
  end loop;
end
$calendly$;
