-- no-transaction
-- 006: a user's meetings in a span of time. Writers go on while the index is built, however big the table is. Left invalid by
-- a failure, it must be dropped first: drop index concurrently calendly_meetings_start_idx.
create index concurrently if not exists calendly_meetings_start_idx on meetings (user_id, start_time);
