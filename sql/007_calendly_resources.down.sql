-- Undoes 007: drops the tables of resources. `calendly-sync rollback` copies them first.

do $calendly$
begin
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';
  execute coalesce((select 'drop table ' || string_agg(oid::regclass::text, ', ') from pg_class
    where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'r'
      and obj_description(oid, 'pg_class') like 'calendly-sync 007%'), 'select');
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 007%';
