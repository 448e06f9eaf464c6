-- no-transaction
-- Undoes 006. Readers and writers go on meanwhile.
-- No timeouts here: they would be settings of the session, which a pooler hands on to others. A wait for this lock stops neither
-- readers nor writers, and `calendly-sync` itself gives up when it only waits.
-- squawk-ignore require-lock-timeout, require-statement-timeout
drop index concurrently if exists calendly_meetings_start_idx;
