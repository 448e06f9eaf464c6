/** SQL of `calendly_webhook_rejections`: the number of rejected requests per hour and reason. */
import type { Sql } from '../connection.js';
import { columns, type RowOf, rowsAsX } from '../table.js';

const COUNT = columns({ reason: 'text not null', count: 'integer not null' });

const RETENTION_DAYS = 31;

/** Adds to the counts of this hour, and deletes old ones. */
export async function addRejections(sql: Sql, counts: RowOf<typeof COUNT>[]): Promise<void> {
  if (counts.length === 0) return;
  await sql`
    insert into calendly_webhook_rejections as r (hour, reason, count, last_at)
    select date_trunc('hour', now()), x.reason, x.count, now()
    from ${rowsAsX(sql, COUNT, counts)}
    order by x.reason
    on conflict (hour, reason) do update set count = r.count + excluded.count, last_at = now()`;
  await sql`
    delete from calendly_webhook_rejections where hour < now() - make_interval(days => ${RETENTION_DAYS})`;
}

/** Rejected requests of the last `hours`, by reason. */
export async function readRejections(
  sql: Sql,
  hours: number,
): Promise<{ reason: string; count: number; last_at: Date }[]> {
  return sql<{ reason: string; count: number; last_at: Date }[]>`
    select reason, sum(count)::float8 as count, max(last_at) as last_at
    from calendly_webhook_rejections
    where hour > now() - make_interval(hours => ${hours})
    group by reason order by reason`;
}
