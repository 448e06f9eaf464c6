-- 004: webhook deliveries that were refused, counted per hour and reason; nothing of their content is kept.
-- One statement: it is done as a whole or not at all, and can be run again.

select calendly_sync_table('calendly_webhook_rejections', $$
  hour timestamptz not null, reason text not null,
  count bigint not null default 0, last_at timestamptz not null default now(),
  primary key (hour, reason)
$$, '004: refused webhook deliveries per hour and reason');

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 004%';
