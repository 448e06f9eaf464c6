/** Rows of a meetings of somebody else that the unique index of 005 could not hold. Reads only. */
import type { Sql } from '../../database/connection.js';
import { canceling } from '../cancel.js';
import type { Migration } from '../files.js';
import type { Attempt } from '../lock.js';
import type { Catalog } from './catalog.js';

/** Looks for them when 005 is due; the worst five are named. Reads the whole table, and stops nobody. */
export async function duplicates(
  sql: Sql,
  { tables, indexes }: Catalog,
  due: Migration[],
  { signal, onEvent }: Pick<Attempt, 'signal' | 'onEvent'>,
): Promise<{ problem: string; fix: string }[]> {
  const { meetings } = tables;
  const state = indexes.get('calendly_meetings_key');
  if (!meetings?.readable || !due.some(({ version }) => version === '005') || state?.valid || state?.equal)
    return [];
  const columns = ['user_id', 'meeting_source', 'external_id'];
  if (columns.some((column) => !meetings.columns[column])) return [];
  const about = meetings.estimate === null ? '' : ` (about ${meetings.estimate.toLocaleString('en')})`;
  onEvent?.({
    kind: 'progress',
    file: 'preflight',
    text: `looking for rows that are there twice in ${meetings.name}${about}`,
  });
  await sql`select set_config('statement_timeout', '0', true)`;
  const query = sql.unsafe<{ key: string; count: string }[]>(`
    select concat_ws(', ', user_id, meeting_source, external_id) as key, count(*) as count
    from ${meetings.name}
    where user_id is not null and meeting_source is not null and external_id is not null
    group by user_id, meeting_source, external_id having count(*) > 1
    order by count(*) desc, 1 limit 6`);
  const rows = await canceling(signal, [query], query);
  if (rows.length === 0) return [];
  const named = rows.slice(0, 5).map(({ key, count }) => `(${key}) ${count} times`);
  return [
    {
      problem: `${meetings.name} has rows with the same user_id, meeting_source, external_id: ${named.join('; ')}${rows.length > 5 ? '; and more' : ''}.`,
      fix: `Delete or change all but one of each; all of them: select user_id, meeting_source, external_id, count(*) from ${meetings.name} group by 1, 2, 3 having count(*) > 1;`,
    },
  ];
}
