/** The table `calendly_migrations`: which files this database has seen, and in which wording. */
import type { Database, Sql } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { quoteName, quoteText } from '../database/search-path.js';

/** One applied migration. */
export interface HistoryRow {
  version: string;
  name: string;
  checksum: string;
  applied_at: Date;
}

/** The history as a migration finds it under the lock. */
export interface History {
  rows: HistoryRow[];
  /** Some process is between two of its files: it goes on in a moment, and should, so that one process does the whole work. */
  underWay: boolean;
}

const UNDEFINED_TABLE = '42P01';
const TABLE_COMMENT = 'calendly-sync: the migrations that this database has seen';
/** After so long without its next file a process counts as dead. */
const UNDER_WAY_FOR = '5 seconds';

/** With a schema of its own the table is there and nowhere else, even if an older one stands further down the search_path. */
function tableName(schema: string | null): string {
  return schema === null ? 'calendly_migrations' : `${quoteName(schema)}.calendly_migrations`;
}

function selectHistory(schema: string | null): string {
  return `select version, name, checksum, applied_at from ${tableName(schema)} order by version::numeric`;
}

/** All applied migrations in order; none when the table does not exist. One round trip. */
export async function peekHistory(database: Database): Promise<HistoryRow[]> {
  try {
    return await database.statement<HistoryRow>(selectHistory(database.schema));
  } catch (thrown) {
    if (errorCode((thrown as Error).cause) === UNDEFINED_TABLE) return [];
    throw thrown;
  }
}

/** The same inside a transaction; null when there is no such table. */
export async function readHistory(sql: Sql, schema: string | null): Promise<History | null> {
  const [found] = await sql<{ exists: boolean; underWay: boolean }[]>`
    select oid is not null as exists, coalesce(
      substring(obj_description(oid, 'pg_class') from 'more until (.*)$')::timestamptz > clock_timestamp(), false
    ) as "underWay"
    from to_regclass(${tableName(schema)}) as oid`;
  if (!found?.exists) return null;
  return { rows: await sql.unsafe<HistoryRow[]>(selectHistory(schema)), underWay: found.underWay };
}

const TABLE_SQL = `create table calendly_migrations (
  version text primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp(),
  ms integer not null,
  applied_by text not null default current_user
);
comment on table calendly_migrations is '${TABLE_COMMENT}';
alter table calendly_migrations enable row level security;
create policy calendly_sync_closed on calendly_migrations using (false) with check (false);
do $calendly$
declare
  stranger text;
begin
  for stranger in select 'public' union all select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on calendly_migrations from %s', stranger);
  end loop;
end
$calendly$;`;

/** The statements that make the table, and the schema that it shall be in. */
export function historySql(schema: string | null): string {
  if (schema === null) return TABLE_SQL;
  return `do $calendly$
begin
  if to_regnamespace(quote_ident(${quoteText(schema)})) is null then
    create schema ${quoteName(schema)};
    comment on schema ${quoteName(schema)} is 'calendly-sync: the tables of calendly-sync';
  end if;
end
$calendly$;
${TABLE_SQL}`;
}

/** Makes the table, closed to everybody but its owner. */
export async function createHistory(sql: Sql, schema: string | null): Promise<void> {
  await sql.unsafe(historySql(schema));
}

/** Records one applied migration. `more` tells other processes that the next file follows at once. */
export async function record(
  sql: Sql,
  { version, name, checksum }: { version: string; name: string; checksum: string },
  ms: number,
  more: boolean,
): Promise<void> {
  await sql`insert into calendly_migrations (version, name, checksum, ms) values (${version}, ${name}, ${checksum}, ${ms})`;
  await sql.unsafe(
    more
      ? `do $$ begin execute format('comment on table calendly_migrations is %L',
           format('${TABLE_COMMENT}; more until %s', clock_timestamp() + interval '${UNDER_WAY_FOR}')); end $$`
      : `comment on table calendly_migrations is '${TABLE_COMMENT}'`,
  );
}

/** Takes back that more follows, for a process that stops before its last file. */
export async function recordEnd(sql: Sql): Promise<void> {
  await sql.unsafe(`comment on table calendly_migrations is '${TABLE_COMMENT}'`);
}

/** Takes one migration out of the history. The table goes with the last one, and so does a schema that was made for it. */
export async function forget(sql: Sql, version: string, schema: string | null): Promise<void> {
  await sql`delete from calendly_migrations where version = ${version}`;
  const [left] = await sql`select exists (select from calendly_migrations) as some`;
  if (left?.some) return;
  await sql`drop table calendly_migrations`;
  if (schema === null) return;
  const [ours] = await sql`
    select obj_description(oid, 'pg_namespace') like 'calendly-sync%' as made,
      exists (select from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = pg_namespace.oid) as used
    from pg_namespace where nspname = ${schema}`;
  if (ours?.made && !ours.used) await sql.unsafe(`drop schema ${quoteName(schema)}`);
}
