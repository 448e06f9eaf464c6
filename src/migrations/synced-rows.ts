/** The rows that the sync wrote into a host's `meetings`, which a rollback of everything leaves there or deletes. */
import type { Sql } from '../database/connection.js';

/** Rows that the sync keeps up to date, adopted ones included; 0 without the table that says so. */
export async function countSynced(sql: Sql): Promise<number> {
  if (!(await hasEvents(sql))) return 0;
  const [row] = await sql.unsafe<{ count: number }[]>(
    `select count(*)::float8 as count from calendly_events`,
  );
  return row?.count ?? 0;
}

/** Deletes what we inserted, and not what we adopted. Returns how many rows. */
export async function deleteSynced(sql: Sql): Promise<number> {
  if (!(await hasEvents(sql))) return 0;
  const { count } = await sql.unsafe(`
    delete from meetings using calendly_events as events
    where events.meeting_id = meetings.id and not events.adopted`);
  return count;
}

async function hasEvents(sql: Sql): Promise<boolean> {
  const [found] = await sql<{ events: boolean }[]>`
    select to_regclass(format('%I.calendly_events', current_schema())) is not null as events`;
  return found?.events ?? false;
}
