/**
 * The rows that the sync wrote into a host's `meetings`, which a rollback of everything leaves there or deletes. A row
 * that a table of the application refers to always stays.
 */
import type { Sql } from '../database/connection.js';
import { quoteText } from '../database/literal-sql.js';
import { referrer } from '../database/tables/references.js';
import { copyRows } from './backup/backup.js';

/** Rows in a host's `meetings` when everything is rolled back. */
export interface SyncedRows {
  /** Rows that the sync keeps up to date, adopted ones included. */
  synced: number;
  /** Rows that the sync inserted and `--delete-synced` deletes. */
  deletable: number;
  /** Rows that the sync inserted and that stay, by the table that refers to them. */
  kept: { table: string; rows: number }[];
}

export const NO_SYNCED_ROWS: SyncedRows = { synced: 0, deletable: 0, kept: [] };

/** Counts them; all is 0 without the table that says which they are. */
export async function countSynced(sql: Sql): Promise<SyncedRows> {
  if (!(await hasEvents(sql))) return NO_SYNCED_ROWS;
  const rows = await sql<{ adopted: boolean; table: string | null; rows: number }[]>`
    select e.adopted, referring.name as table, count(*)::float8 as rows
    from calendly_events e
    join meetings m on m.id = e.meeting_id
    cross join lateral (select case when not e.adopted then ${sql.unsafe(await referrer(sql))} end as name) as referring
    group by 1, 2 order by 1, 2`;
  const inserted = rows.filter(({ adopted }) => !adopted);
  return {
    synced: rows.reduce((sum, row) => sum + row.rows, 0),
    deletable: inserted.find(({ table }) => table === null)?.rows ?? 0,
    kept: inserted.flatMap(({ table, rows: count }) => (table === null ? [] : [{ table, rows: count }])),
  };
}

/**
 * Deletes what we inserted, not what we adopted. Before, it copies the rows and their invitees, which go with them.
 * @returns how many rows were copied
 */
export async function deleteSynced(sql: Sql, backup: string | null): Promise<number> {
  if (!(await hasEvents(sql))) return 0;
  // With these locks, nobody can insert a reference between the count and the deletion.
  await sql`
    select count(*) from (
      select from meetings m join calendly_events e on e.meeting_id = m.id where not e.adopted order by m.id for update of m
    ) as locked`;
  const rows = await sql<{ id: string }[]>`
    select m.id::text as id from meetings m join calendly_events e on e.meeting_id = m.id
    where not e.adopted and ${sql.unsafe(await referrer(sql))} is null`;
  if (rows.length === 0) return 0;
  const ids = quoteText(JSON.stringify(rows.map(({ id }) => id)));
  const wanted = `(select m.id from meetings m where m.id::text in (select json_array_elements_text(${ids}::json)))`;
  const copy = (table: string, key: string) =>
    backup === null
      ? 0
      : copyRows(
          sql,
          backup,
          { version: '001', kind: 'rows', table },
          `select * from ${table} where ${key} in ${wanted}`,
        );
  const copied = (await copy('meetings', 'id')) + (await copy('meeting_invitees', 'meeting_id'));
  await sql.unsafe(`delete from meetings where id in ${wanted}`);
  return copied;
}

async function hasEvents(sql: Sql): Promise<boolean> {
  const [found] = await sql<{ events: boolean }[]>`
    select to_regclass(format('%I.calendly_events', current_schema())) is not null as events`;
  return found?.events ?? false;
}
