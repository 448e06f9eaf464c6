/** Who holds what a migration waits for: read after a lock timeout, one line each for the operator. Reads only. */
import type { Database } from '../database/connection.js';
import { formatDuration } from '../duration.js';

/** The text whose hash is the migration lock. */
export const LOCK_KEY = 'calendly-sync migrate';

interface Holder {
  /** Null for a prepared transaction: no session has it. */
  pid: number | null;
  application: string;
  /** How long its transaction has been open, in ms. */
  age: number;
  state: string;
  /** First 80 characters of its last statement. */
  query: string;
  held: string;
}

/**
 * The sessions that hold a lock on the host's tables and ours, or the migration lock; at most three, the oldest
 * transaction first.
 */
export async function readLockHolders(database: Database, of: 'tables' | 'migrations'): Promise<string[]> {
  const holders = await database.transaction(
    (sql) => sql<Holder[]>`
      with tables as (
        select array_agg(pg_class.oid) as oids
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where pg_class.oid in (to_regclass('users'), to_regclass('meetings'))
          or (nspname = current_schema() and (relname like 'calendly%' or relname = 'meeting_invitees'))
      ),
      locks as (
        select pid, virtualtransaction as id, coalesce(min(relation::regclass::text), 'the migration lock') as held
        from pg_locks, tables
        where granted and case when ${of}::text = 'tables' then relation = any (oids)
          else locktype = 'advisory' and objsubid = 1
            and (classid::bigint << 32) | objid::bigint = hashtextextended(${LOCK_KEY}, 0) end
        group by 1, 2
      )
      select pg_stat_activity.pid, coalesce(nullif(application_name, ''), usename::text, 'unnamed') as application,
        (extract(epoch from clock_timestamp() - coalesce(xact_start, query_start, backend_start)) * 1000)::float8 as age,
        coalesce(state, 'unknown') as state, left(regexp_replace(coalesce(query, ''), '\\s+', ' ', 'g'), 80) as query, held
      from pg_stat_activity join locks using (pid)
      where datname = current_database() and pg_stat_activity.pid <> pg_backend_pid()
      union all
      select null, owner::text, (extract(epoch from clock_timestamp() - prepared) * 1000)::float8, 'prepared', quote_literal(gid), held
      from pg_prepared_xacts join locks on locks.pid is null and locks.id = '-1/' || transaction
      where database = current_database()
      order by age desc
      limit 3`,
    { readOnly: true },
  );
  return holders.map(({ pid, application, age, state, query, held }) =>
    pid === null
      ? `prepared transaction ${query} (${application}, ${formatDuration(age)}) holds ${held}; end it: rollback prepared ${query};`
      : `process ${pid} (${application}, ${state}, ${formatDuration(age)}) holds ${held}: ${query}`,
  );
}
