drop table if exists calendly_pending_events;
drop table if exists calendly_event_reads;
