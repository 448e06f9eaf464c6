/**
 * The table `calendly_migrations`: which files were applied, in which wording, what each created (`made`) and what
 * it replaced (`before`). Comments on objects are only a help for files that are run by hand: a dump may lose them.
 */
import type { Database, Sql } from '../database/connection.js';
import { sqlState } from '../database/errors.js';
import { quoteText } from '../database/literal-sql.js';
import { EXCEPT_FOR_READERS, NO_HIDDEN_ROWS } from '../database/row-security.js';
import { quoteName } from '../database/search-path.js';
import type { Migration } from './files.js';
import { inTime, type LockOptions } from './lock.js';
import {
  type Catalog,
  catalogText,
  enterCatalog,
  leaveCatalog,
  MARK,
  OBJECTS,
  objectName,
} from './schema/catalog.js';

/** One applied migration. */
export interface HistoryRow {
  version: string;
  name: string;
  checksum: string;
  applied_at: Date;
  /** Objects that it created, with a fingerprint of their definition. */
  made: Record<string, string>;
  /** Its comments, which the files go by. */
  marks: Record<string, string>;
  /** By object: the statements that create what stood there before, and those that set its rights. */
  before: Record<string, { create: string | null; rights: string | null }>;
}

const UNDEFINED_TABLE = '42P01';

/**
 * With a schema of its own the table is there and nowhere else, even if an older one exists further down the
 * search_path.
 */
export function historyTable(schema: string | null): string {
  return schema === null ? 'calendly_migrations' : `${quoteName(schema)}.calendly_migrations`;
}

/** The query for all rows, in order. */
export function historyText(schema: string | null): string {
  return `select version, name, checksum, applied_at, made, marks, before from ${historyTable(schema)} order by version::numeric;\n`;
}

/** History and catalog as they are now, in one round trip; `history` is null if the table does not exist. */
export async function readState(
  database: Database,
  options: LockOptions = {},
): Promise<{ history: HistoryRow[] | null; catalog: Catalog }> {
  const { schema } = database;
  const { path, signal, maxWaitMs } = options;
  const read = async (text: string) => {
    const work = () =>
      schema === null
        ? database.statement(text)
        : database.transaction((sql) => sql.unsafe(text), { searchPath: path });
    return (await inTime('Reading the schema', signal, maxWaitMs, work)) as unknown as object[][];
  };
  const catalogOf = (results: object[][]) => (results.at(-2) as [{ catalog: Catalog }])[0].catalog;
  try {
    const results = await read(
      `${NO_HIDDEN_ROWS}${EXCEPT_FOR_READERS};${historyText(schema)}${catalogText(schema)}`,
    );
    return { history: results[2] as HistoryRow[], catalog: catalogOf(results) };
  } catch (error) {
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    return { history: null, catalog: catalogOf(await read(catalogText(schema))) };
  }
}

/** The statement that creates the schema, if one is named that does not exist. */
export function createSchemaText(schema: string | null): string {
  if (schema === null) return '';
  return `do $calendly$ begin
  if to_regnamespace(${quoteText(quoteName(schema))}) is null then
    create schema ${quoteName(schema)};
    comment on schema ${quoteName(schema)} is 'calendly-sync: the tables of calendly-sync';
  end if;
end $calendly$;\n`;
}

/** The statements that create the table, closed to API roles. */
export function createHistoryText(schema: string | null): string {
  const table = historyTable(schema);
  return `create table if not exists ${table} (
  version text primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default clock_timestamp(),
  ms integer not null,
  applied_by text not null default current_user,
  made jsonb not null,
  marks jsonb not null,
  before jsonb not null
);
comment on table ${table} is 'calendly-sync: the applied migrations';
alter table ${table} enable row level security;
do $calendly$
declare
  api_role text;
begin
  if not exists (select from pg_policy where polrelid = '${table}'::regclass and polname = 'calendly_sync_closed') then
    create policy calendly_sync_closed on ${table} using (false) with check (false);
  end if;
  for api_role in select 'public' union all select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on ${table} from %s', api_role);
  end loop;
end $calendly$;\n`;
}

/** Statements to run before a file, in the same transaction: they remember what exists. */
export function beforeText(schema: string | null, local = true): string {
  return `${enterCatalog(schema, local)}select set_config('calendly_sync.started', clock_timestamp()::text, ${local}),
  set_config('calendly_sync.before', (select coalesce(json_agg(objects), '[]') from (${OBJECTS}) as objects)::text, ${local});
${leaveCatalog(local)}`;
}

/** Statements to run after a file: they record it, with what it created and replaced. */
export function recordText(
  schema: string | null,
  { version, name, checksum }: Pick<Migration, 'version' | 'name' | 'checksum'>,
  local = true,
): string {
  const values = [version, name, checksum].map(quoteText).join(', ');
  return `${enterCatalog(schema, local)}with old as (
    select * from json_to_recordset(current_setting('calendly_sync.before')::json)
      as old (key text, oid text, mark text, definition text, definer text, rights text)
  ),
  new as (${OBJECTS}),
  replaced as (
    select old.key, (select other.key from new as other where other.oid = old.oid and other.key <> old.key) as renamed,
      old.definer, old.rights
    from old left join new using (key)
    where old.rights is not null and coalesce(old.mark, '') not like '${MARK}%'
      and (new.key is null or new.oid <> old.oid or new.definition <> old.definition)
  ),
  made as (
    select new.key, new.definition from new left join old using (key)
    where ((old.key is null or old.oid <> new.oid) and not exists (select from old as other where other.oid = new.oid))
      or (new.definition <> old.definition and new.key not like 'column %')
      or new.mark like '${MARK}${version}%'
  )
  select set_config('calendly_sync.made', (
    select coalesce(json_object_agg(key, definition), '{}') from made
    where key <> 'table calendly_migrations' and coalesce(substring(key from '^column (.*)[.]'), substring(key from '^constraint .* on (.*)$'), '') not in (
      select substr(key, 7) from made where key like 'table %'))::text, ${local}),
  set_config('calendly_sync.marks', (
    select coalesce(json_object_agg(key, mark), '{}') from new
    where mark ~ '^calendly-sync(: put aside by)? ${version}')::text, ${local}),
  set_config('calendly_sync.replaced', (
    select coalesce(json_object_agg(key, json_build_object(
      'create', coalesce(definer, format('alter table %I rename to %I;', substr(renamed, 7), substr(key, 7))),
      'rights', rights)), '{}')
    from replaced)::text, ${local});
${leaveCatalog(local)}insert into ${historyTable(schema)} as row (version, name, checksum, ms, made, marks, before)
values (${values}, extract(epoch from clock_timestamp() - current_setting('calendly_sync.started')::timestamptz) * 1000,
  current_setting('calendly_sync.made')::jsonb, current_setting('calendly_sync.marks')::jsonb,
  current_setting('calendly_sync.replaced')::jsonb)
on conflict (version) do update set made = row.made || excluded.made, marks = row.marks || excluded.marks,
  before = (excluded.before - array(select jsonb_object_keys(row.made))) || row.before
returning ms, array(select jsonb_object_keys(made)) as keys;\n`;
}

/**
 * Restores the comments that a dump or somebody else has removed or changed: the files go by them.
 */
export function marksText({ objects }: Catalog, { marks }: HistoryRow): string {
  return Object.entries(marks)
    .filter(([key, mark]) => key in objects && objects[key]?.mark !== mark)
    .map(([key, mark]) => `comment on ${objectName(key)} is ${quoteText(mark)};`)
    .concat('select 1')
    .join('\n');
}

/** Removes one migration from the history. The table goes with the last one, and so does a schema that we created. */
export async function forget(sql: Sql, version: string, schema: string | null): Promise<void> {
  const table = historyTable(schema);
  await sql.unsafe(`delete from ${table} where version = ${quoteText(version)}`);
  const [left] = await sql.unsafe(`select exists (select from ${table}) as some`);
  if (left?.some) return;
  await sql.unsafe(`drop table ${table}`);
  if (schema === null) return;
  const [ours] = await sql`
    select obj_description(oid, 'pg_namespace') like 'calendly-sync%' as made,
      exists (select from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = pg_namespace.oid) as used
    from pg_namespace where nspname = ${schema}`;
  if (ours?.made && !ours.used) await sql.unsafe(`drop schema ${quoteName(schema)}`);
}
