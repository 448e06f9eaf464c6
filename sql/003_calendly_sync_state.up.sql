-- What was known of a meeting when its invitees were last read.
create table if not exists calendly_event_reads (
  meeting_id bigint primary key references meetings (id) on delete cascade,
  -- status, updated_at, invitees total and active of the event as they were then; null: must be read again
  fingerprint text,
  read_at timestamptz,
  -- when anything last wrote this meeting or its invitees (database clock)
  written_at timestamptz not null default clock_timestamp()
);
-- Listed events that wait for their invitees, and stored ones that a complete listing did not show.
create table if not exists calendly_pending_events (
  account_id bigint not null references calendly_accounts (id) on delete cascade,
  calendly_uri text not null,
  kind text not null, -- changed, reread, unlisted
  event jsonb,
  run_id bigint not null,
  listed_at timestamptz not null default clock_timestamp(),
  error text,
  primary key (account_id, calendly_uri)
);
