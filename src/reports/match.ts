/** Compares the invitees with a table of the application's own: who is known there, and who is not. */
import type { Database } from '../database/connection.js';
import { quoteName } from '../database/search-path.js';
import { CalendlySyncError } from '../errors.js';
import { requireReports } from './report.js';

/** How many unmatched addresses are listed. */
const MAX_LISTED = 100;

export interface Match {
  table: string;
  column: string;
  /** Different e-mail addresses of invitees, and how many of them the column has; case and blanks do not count. */
  people: number;
  matched: number;
  /** Addresses that the column lacks, those with the most bookings first; at most 100 of `unmatched_count`. */
  unmatched: { email: string; bookings: number }[];
  unmatched_count: number;
}

/**
 * Matches the invitees' addresses with a column.
 * @throws CalendlySyncError `usage` if the column does not exist
 */
export async function matchInvitees(database: Database, table: string, column: string): Promise<Match> {
  return database.transaction(
    async (sql) => {
      await requireReports(sql);
      const [target] = await sql<{ name: string | null; found: boolean }[]>`
        select to_regclass(${table})::text as name, exists (
          select from pg_attribute
          where attrelid = to_regclass(${table}) and attname = ${column} and attnum > 0 and not attisdropped
        ) as found`;
      if (!target?.found || target.name === null) {
        const problem = target?.name
          ? `Table ${table} has no column ${column}.`
          : `There is no table ${table}.`;
        throw new CalendlySyncError('usage', problem, {
          hint: 'Write --match TABLE:COLUMN, as in users:email',
        });
      }
      const addresses = `select lower(btrim(${quoteName(column)}::text)) from ${target.name}`;
      const [result] = await sql<Omit<Match, 'table' | 'column'>[]>`
        with people as (
          select email, count(*)::integer as bookings from calendly_bookings where email is not null group by 1
        ), unmatched as (
          select * from people where email not in (${sql.unsafe(addresses)} where ${sql.unsafe(quoteName(column))} is not null)
        )
        select (select count(*)::integer from people) as people,
          (select count(*)::integer from people) - (select count(*)::integer from unmatched) as matched,
          (select count(*)::integer from unmatched) as unmatched_count,
          coalesce((
            select json_agg(listed) from (select * from unmatched order by bookings desc, email limit ${MAX_LISTED}) as listed
          ), '[]') as unmatched`;
      if (!result) throw new Error('the comparison returned no row');
      return { table, column, ...result };
    },
    { readOnly: true },
  );
}
