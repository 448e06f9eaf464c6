-- no-transaction
-- 005: one row per user, source and event. Writers go on while the index is built, however big the table is. Left invalid by
-- a failure, it must be dropped first: drop index concurrently calendly_meetings_key.
create unique index concurrently if not exists calendly_meetings_key on meetings (user_id, meeting_source, external_id);
