/** Who holds what a migration waits for: read after a lock timeout, shown to the operator. Reads only. */
import type { Database } from '../database/connection.js';
import { formatDuration } from '../duration.js';

/** A session of somebody else that holds locks on tables that migrations touch. */
export interface LockHolder {
  /** Null for a prepared transaction: no session has it. */
  pid: number | null;
  application: string;
  /** How long its transaction has been open, in ms. */
  ageMs: number;
  state: string;
  /** First 80 characters of its last statement. */
  query: string;
  /** One of the tables that it holds. */
  table: string;
}

/** A holder in one line. */
export function describeHolder({ pid, application, ageMs, state, query, table }: LockHolder): string {
  if (pid === null)
    return (
      `prepared transaction ${query} (${application}, ${formatDuration(ageMs)}) holds ${table}; ` +
      `end it: rollback prepared ${query};`
    );
  return `process ${pid} (${application}, ${state}, ${formatDuration(ageMs)}) holds ${table}: ${query}`;
}

/** The sessions that hold locks on the host's tables and ours, the oldest transaction first; at most three. */
export function readLockHolders(database: Database): Promise<LockHolder[]> {
  return database.transaction(
    (sql) => sql<LockHolder[]>`
      with tables as (
        select array_agg(pg_class.oid) as oids
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where pg_class.oid in (to_regclass('users'), to_regclass('meetings'))
          or (nspname = current_schema() and (relname like 'calendly%' or relname = 'meeting_invitees'))
      ),
      held as (
        select pid, virtualtransaction as id, min(relation::regclass::text) as table
        from pg_locks, tables where granted and relation = any (oids) group by 1, 2
      )
      select pg_stat_activity.pid, coalesce(nullif(application_name, ''), usename::text, 'unnamed') as application,
        (extract(epoch from clock_timestamp() - coalesce(xact_start, query_start, backend_start)) * 1000)::float8 as "ageMs",
        coalesce(state, 'unknown') as state,
        left(regexp_replace(coalesce(query, ''), '\\s+', ' ', 'g'), 80) as query, held.table
      from pg_stat_activity join held using (pid)
      where datname = current_database() and pg_stat_activity.pid <> pg_backend_pid()
      union all
      select null, owner::text, (extract(epoch from clock_timestamp() - prepared) * 1000)::float8, 'prepared',
        quote_literal(gid), held.table
      from pg_prepared_xacts join held on held.pid is null and held.id = '-1/' || transaction
      where database = current_database()
      order by "ageMs" desc
      limit 3`,
    { readOnly: true },
  );
}

/** Who runs a migration at the moment: the holder of the migration lock, if it can be seen. */
export async function readMigrator(database: Database, lockKey: string): Promise<LockHolder | null> {
  const [holder] = await database.transaction(
    (sql) => sql<LockHolder[]>`
      select pid, coalesce(nullif(application_name, ''), usename::text, 'unnamed') as application,
        (extract(epoch from clock_timestamp() - coalesce(xact_start, backend_start)) * 1000)::float8 as "ageMs",
        coalesce(state, 'unknown') as state, '' as query, '' as table
      from pg_stat_activity
      where pid in (
        select pid from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
          and (classid::bigint << 32) | objid::bigint = hashtextextended(${lockKey}, 0)
      )`,
    { readOnly: true },
  );
  return holder ?? null;
}
