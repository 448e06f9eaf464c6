-- 003: what a sync has to remember from one run to the next.
-- Runs as it is, with psql -f or in a SQL editor, and twice without harm.

do $calendly$
declare
  meeting_id_type text;
begin
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  select format_type(atttypid, atttypmod) into strict meeting_id_type
  from pg_attribute
  where attrelid = to_regclass('meetings') and attname = 'id' and not attisdropped;

  if to_regclass(format('%I.calendly_event_reads', current_schema())) is null then
    execute format($table$
      create table calendly_event_reads (
        meeting_id %s primary key references %s (id) on delete cascade,
        -- status, updated_at, invitees total and active of the event as they were then; null: must be read again
        fingerprint text,
        read_at timestamptz,
        -- when anything last wrote this meeting or its invitees (database clock)
        written_at timestamptz not null default clock_timestamp(),
        -- when no-show marks were taken back, by invitee: a mark that is delivered late must not come back
        no_shows_removed jsonb
      )
    $table$, meeting_id_type, to_regclass('meetings'));
    comment on table calendly_event_reads is 'calendly-sync 003: what was known of a meeting when its invitees were last read';
  end if;

  if to_regclass(format('%I.calendly_pending_events', current_schema())) is null then
    create table calendly_pending_events (
      account_id bigint not null references calendly_accounts (id) on delete cascade,
      calendly_uri text not null,
      kind text not null, -- changed, reread, unlisted
      event jsonb,
      run_id bigint not null,
      listed_at timestamptz not null default clock_timestamp(),
      error text,
      primary key (account_id, calendly_uri)
    );
    comment on table calendly_pending_events is
      'calendly-sync 003: listed events that wait for their invitees, and stored ones that a complete listing did not show';
  end if;
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
    where tables.oid in (
      to_regclass(format('%I.calendly_event_reads', current_schema())),
      to_regclass(format('%I.calendly_pending_events', current_schema()))
    )
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
