-- 004: webhook deliveries that were refused, counted per hour and reason; nothing of their content is kept.
-- Runs as it is, with psql -f or in a SQL editor, and twice without harm.

do $calendly$
begin
  if to_regclass(format('%I.calendly_webhook_rejections', current_schema())) is null then
    create table calendly_webhook_rejections (
      hour timestamptz not null,
      reason text not null,
      count bigint not null default 0,
      last_at timestamptz not null default now(),
      primary key (hour, reason)
    );
    comment on table calendly_webhook_rejections is 'calendly-sync 004: refused webhook deliveries per hour and reason';
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
    where tables.oid in (to_regclass(format('%I.calendly_webhook_rejections', current_schema())))
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
