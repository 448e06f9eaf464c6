-- Undoes 006: drops whom `erase` has forgotten: a later sync brings them back. `calendly-sync rollback` copies it first.

do $calendly$
begin
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';
  execute coalesce((select 'drop table ' || string_agg(oid::regclass::text, ', ') from pg_class
    where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'r'
      and obj_description(oid, 'pg_class') like 'calendly-sync 006%'), 'select');
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 006%';
