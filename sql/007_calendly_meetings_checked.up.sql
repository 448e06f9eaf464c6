-- slow
-- 007: checks the rows that were there before 001 added its constraints. Readers and writers go on meanwhile.
-- Runs as it is, with psql -f or in a SQL editor, and twice without harm.

do $calendly$
declare
  item record;
begin
  for item in
    select conrelid::regclass as name, conname
    from pg_constraint
    where conrelid = to_regclass('meetings') and not convalidated
      and obj_description(oid, 'pg_constraint') like 'calendly-sync %'
  loop
    execute format('alter table %s validate constraint %I', item.name, item.conname);
  end loop;
end
$calendly$;
