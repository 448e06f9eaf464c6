-- Webhook deliveries that were refused, counted per hour and reason: nothing of their content is kept.
create table if not exists calendly_webhook_rejections (
  hour timestamptz not null,
  reason text not null,
  count bigint not null default 0,
  last_at timestamptz not null default now(),
  primary key (hour, reason)
);
