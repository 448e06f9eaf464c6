-- Undoes 002: drops the accounts and the log of syncs. The data in it is gone then; `calendly-sync rollback` writes it to a file first.

do $calendly$
declare
  item text;
begin
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;
  foreach item in array array['calendly_sync_runs', 'calendly_accounts'] loop
    item := format('%I.%I', current_schema(), item);
    if obj_description(to_regclass(item), 'pg_class') like 'calendly-sync 002%' then
      execute format('drop table %s', item);
    end if;
  end loop;
end
$calendly$;
