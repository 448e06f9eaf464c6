-- Undoes 001: drops what has its comment. A users or meetings that was there before stays, with its rows, without the
-- columns that 001 added. The data in what goes is lost; `calendly-sync rollback` copies it first.

do $calendly$
declare
  item text;
begin
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';
  for item in
    select case
      when pg_proc.oid is not null then format('drop function %s cascade', objoid::regprocedure) -- with the trigger
      when objsubid > 0 then format('alter table %s drop column %I', objoid::regclass, attname)
      else format('drop table %s', objoid::regclass) end
    from pg_description
    left join pg_proc on classoid = 'pg_proc'::regclass and pg_proc.oid = objoid
    left join pg_class on classoid = 'pg_class'::regclass and pg_class.oid = objoid
    left join pg_attribute on attrelid = pg_class.oid and attnum = objsubid and attnum > 0
    where description like 'calendly-sync 001%' and (attrelid = to_regclass('meetings')
      or quote_ident(current_schema())::regnamespace in (pronamespace, relnamespace))
    order by array_position(array['meeting_invitees', 'meetings', 'users'], relname::text) nulls first
  loop execute item; end loop;
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 001%';
