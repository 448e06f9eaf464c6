-- no-transaction
-- Undoes 006. Readers and writers go on meanwhile.
drop index concurrently if exists calendly_meetings_start_idx;
