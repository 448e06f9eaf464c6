-- no-transaction
-- 006: a user's meetings in a span of time. Partial, so that it serves nothing else: on a table without statistics the planner
-- would take it to find one meeting among all of a user's. Writers go on while the index is built, however big the table is. Left
-- invalid by a failure, it must be dropped first: drop index concurrently calendly_meetings_start_idx.
-- An editor that wraps everything into a transaction refuses this: there, run it without the word concurrently while few write.
-- No timeouts here: they would be settings of the session, which a pooler hands on to others. A wait for this lock stops neither
-- readers nor writers, and `calendly-sync` itself gives up when it only waits.
-- squawk-ignore require-lock-timeout, require-statement-timeout
create index concurrently if not exists calendly_meetings_start_idx on meetings (user_id, start_time)
  where start_time is not null;
