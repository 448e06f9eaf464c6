drop table if exists calendly_sync_runs;
drop table if exists calendly_accounts;
