/** The table `calendly_migrations`: which files this database has seen, and in which wording. */
import type { Sql } from '../connection.js';

/** One applied migration. */
export interface HistoryRow {
  version: string;
  name: string;
  checksum: string;
  applied_at: Date;
  /** True when it was applied less than half a second ago: its process is probably at the next file. */
  fresh: boolean;
}

/** All applied migrations in order; none when the table does not exist. One round trip more than the table needs. */
export async function readHistory(sql: Sql): Promise<HistoryRow[]> {
  const [found] = await sql`select to_regclass('calendly_migrations') is not null as exists`;
  if (!found?.exists) return [];
  return sql<HistoryRow[]>`
    select version, name, checksum, applied_at, applied_at > clock_timestamp() - interval '500 milliseconds' as fresh
    from calendly_migrations order by version::numeric`;
}

/** Makes the table when it is missing, closed to everybody but its owner. */
export async function ensureHistory(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create table if not exists calendly_migrations (
      version text primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default clock_timestamp(),
      ms integer not null,
      applied_by text not null default current_user
    );
    revoke all on calendly_migrations from public;
  `);
}

/** Records one applied migration. */
export async function record(
  sql: Sql,
  { version, name, checksum }: { version: string; name: string; checksum: string },
  ms: number,
): Promise<void> {
  await sql`insert into calendly_migrations (version, name, checksum, ms) values (${version}, ${name}, ${checksum}, ${ms})`;
}

/** Takes one migration out of the history; the table itself goes with the last one. */
export async function forget(sql: Sql, version: string): Promise<void> {
  await sql`delete from calendly_migrations where version = ${version}`;
  const [left] = await sql`select exists (select from calendly_migrations) as some`;
  if (!left?.some) await sql`drop table calendly_migrations`;
}
