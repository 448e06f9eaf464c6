-- Undoes 001: drops what bears its comment. A users or meetings that was there before stays, with all its rows and without
-- the columns that 001 added. The data in what goes is gone then; `calendly-sync rollback` writes it to a file first.

do $calendly$
declare
  wanted record;
begin
  if current_setting('lock_timeout') = '0' then
    perform set_config('lock_timeout', '1s', true);
  end if;

  for wanted in
    select command
    from (
      select 1 as position, format('drop table %I.meeting_invitees', current_schema()) as command
      where obj_description(to_regclass(format('%I.meeting_invitees', current_schema())), 'pg_class') like 'calendly-sync 001%'
      union all
      select 2, format('drop table %s', to_regclass('meetings'))
      where obj_description(to_regclass('meetings'), 'pg_class') like 'calendly-sync 001%'
      union all
      -- The constraint on a column goes with the column.
      select 3, format('alter table %s %s', attrelid::regclass, string_agg(format('drop column %I', attname), ', '))
      from pg_attribute
      where attrelid = to_regclass('meetings') and attnum > 0 and not attisdropped
        and col_description(attrelid, attnum) like 'calendly-sync 001%'
        and coalesce(obj_description(attrelid, 'pg_class'), '') not like 'calendly-sync 001%'
      group by attrelid
      union all
      select 4, format('drop table %s', to_regclass('users'))
      where obj_description(to_regclass('users'), 'pg_class') like 'calendly-sync 001%'
    ) as commands
    order by position
  loop
    execute wanted.command;
  end loop;
end
$calendly$;
