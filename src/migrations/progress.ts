/** How far an index build is, and whom it waits for, for people. Reads only. */
import type { Database } from '../database/connection.js';

/** What the server tells of an index build; numbers come as text. */
export interface IndexProgress {
  phase: string;
  done: string;
  total: string;
  unit: 'blocks' | 'rows' | 'transactions';
  /** The session that it waits for, with its application and the first 80 characters of its statement. */
  waits_for: string | null;
}

/** The index build that runs in this database, if one does. */
export async function readProgress(database: Database): Promise<IndexProgress | null> {
  const [progress] = await database.statement<IndexProgress>(`
    select phase,
      case when lockers_total > lockers_done then lockers_done when blocks_total > 0 then blocks_done else tuples_done end as done,
      case when lockers_total > lockers_done then lockers_total when blocks_total > 0 then blocks_total else tuples_total end as total,
      case when lockers_total > lockers_done then 'transactions' when blocks_total > 0 then 'blocks' else 'rows' end as unit,
      (
        select format('process %s (%s, %s, %s s): %s', pid, coalesce(nullif(application_name, ''), usename::text, 'unnamed'),
          coalesce(state, 'unknown'), round(extract(epoch from clock_timestamp() - xact_start)::numeric, 1),
          left(regexp_replace(coalesce(query, ''), '\\s+', ' ', 'g'), 80))
        from pg_stat_activity where pid = current_locker_pid
      ) as waits_for
    from pg_stat_progress_create_index
    where datname = current_database()
    limit 1`);
  return progress ?? null;
}

/** Whether it stands still because of somebody else's transaction. */
export function isWaiting(progress: IndexProgress | null): boolean {
  // Before the build begins, and when an index is dropped, the server shows nothing: then the statement waits for the table.
  return progress === null || progress.phase.startsWith('waiting');
}

/** One line of it. */
export function describeProgress(index: string, progress: IndexProgress | null): string {
  if (!progress) return `${index}: waits for the table`;
  const { phase, done, total, unit, waits_for } = progress;
  const share =
    Number(total) > 0 ? `, ${Math.floor((100 * Number(done)) / Number(total))} % of ${total} ${unit}` : '';
  return `${index}: ${phase}${share}${waits_for === null ? '' : `; waits for ${waits_for}`}`;
}
