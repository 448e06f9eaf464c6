-- 003: the memory of the sync: which event of Calendly is which row of meetings, and what was known of it last.
-- The key stands here and not on meetings, which may be the application's: it gets no index and no constraint of ours.
-- One statement: it is done as a whole or not at all, and can be run again.

do $calendly$
declare
  user_id_type text; meeting_id_type text;
begin
  -- A foreign key locks the table that it refers to. A wait for it blocks others: never for longer than this.
  perform set_config('lock_timeout', '1s', true) where current_setting('lock_timeout') = '0';
  select format_type(atttypid, atttypmod) into strict user_id_type
  from pg_attribute where attrelid = to_regclass('users') and attname = 'id';
  select format_type(atttypid, atttypmod) into strict meeting_id_type
  from pg_attribute where attrelid = to_regclass('meetings') and attname = 'id';

  perform calendly_sync_table('calendly_events', format($$
    user_id %s not null,
    external_id text not null, -- last segment of the event's URI, whatever meetings.external_id holds
    meeting_id %s not null unique references %s (id) on delete cascade,
    account_id bigint, -- the account that listed it last
    adopted boolean not null default false, -- another integration wrote the row of meetings
    start_time timestamptz, end_time timestamptz,
    digest text, -- of the listed row that was last written; null: never listed, so it cannot be missing either
    fingerprint text, -- of the event whose invitees were last read; null: they must be read
    read_at timestamptz, -- when its invitees were last read completely
    recheck_at timestamptz, -- when to read them again, because nothing else reports a no-show
    written_at timestamptz not null default clock_timestamp(), -- when its content last changed (database clock)
    failures integer not null default 0, -- readings in a row that contradicted the event
    no_shows_removed jsonb, -- when marks were removed, by invitee: one that is delivered late must not come back
    primary key (user_id, external_id)
  $$, user_id_type, meeting_id_type, to_regclass('meetings')), '003: the events of Calendly and what is known of them');
  alter table calendly_events set (fillfactor = 90);
  -- These are partial, so that the planner never takes one to find an event by its id.
  create index if not exists calendly_events_start_idx
    on calendly_events (user_id, start_time) where start_time is not null;
  create index if not exists calendly_events_recheck_idx
    on calendly_events (user_id, recheck_at) where recheck_at is not null;
  create index if not exists calendly_events_read_idx
    on calendly_events (user_id, read_at) include (start_time, meeting_id) where read_at is not null; -- `health`

  perform calendly_sync_table('calendly_pending_events', $$
    account_id bigint not null references calendly_accounts (id) on delete cascade,
    calendly_uri text not null,
    kind text not null, -- invitees, unlisted, no_show, audit
    urgency integer not null default 0, -- the lower, the sooner
    run_id bigint not null, -- the lease number of the run that found it
    listed_at timestamptz not null default clock_timestamp(), error text,
    failures integer not null default 0, failed_at timestamptz, -- runs in a row with an error of it; the first of them
    primary key (account_id, calendly_uri)
  $$, '003: events that a sync has still to ask Calendly for');
  create index if not exists calendly_pending_events_urgency_idx
    on calendly_pending_events (account_id, urgency, calendly_uri);
end
$calendly$;

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 003%';
