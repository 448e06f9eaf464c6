-- no-transaction
-- Undoes 005. Readers and writers go on meanwhile.
drop index concurrently if exists calendly_meetings_key;
