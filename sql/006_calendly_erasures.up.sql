-- 006: whom `calendly-sync erase` has forgotten, so that no later sync or delivery brings them back: a hash of each
-- address, with a secret that only this database has.
-- One statement: it is done as a whole or not at all, and can be run again.

select calendly_sync_table('calendly_erasures', $$
  hash bytea primary key, erased_at timestamptz not null default now()
$$, '006: people who were erased'),
calendly_sync_table('calendly_erasure_key', $$
  id integer primary key default 1 check (id = 1), key bytea not null
$$, '006: the secret of calendly_erasures');

select pg_describe_object(classoid, objoid, objsubid) from pg_description where description like 'calendly-sync 006%';
