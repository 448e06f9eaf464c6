/** Who holds a lock that one of our sessions waits for. Reads only. */
import { formatDuration } from '../duration.js';
import type { Sql } from './connection.js';

interface Blocker {
  pid: number;
  application: string;
  state: string | null;
  ageMs: number | null;
}

/**
 * The session that blocks the one with this process id, in words; null if it does not wait now. Another user's state
 * and age are visible to members of pg_read_all_stats only.
 */
export async function readBlocker(sql: Sql, pid: number): Promise<string | null> {
  const [blocker] = await sql<Blocker[]>`
    select pid, coalesce(nullif(application_name, ''), usename::text, 'unnamed') as application, state,
      (extract(epoch from clock_timestamp() - xact_start) * 1000)::float8 as "ageMs"
    from pg_stat_activity where pid = any(pg_blocking_pids(${pid}))
    order by xact_start limit 1`;
  if (!blocker) return null;
  const { state, ageMs } = blocker;
  const age = ageMs === null ? null : `transaction open for ${formatDuration(ageMs)}`;
  const details = [blocker.application, state, age].filter((one) => one !== null).join(', ');
  return `process ${blocker.pid} (${details})`;
}
