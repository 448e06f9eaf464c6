/**
 * Backups: a schema `calendly_backup_<UTC>` in the same database, written by the transaction that drops the
 * originals. Its tables have names unlike theirs, beside a manifest. Knows how to write, list and drop them;
 * `restore.ts` reads them.
 */
import type { Database, Sql } from '../../database/connection.js';
import { quoteText } from '../../database/literal-sql.js';
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import { API_ROLES } from '../schema/catalog.js';
import { isNotDefault, type Loss } from './losses.js';

const PREFIX = 'calendly_backup_';
const COMMENT = 'calendly-sync backup';

/** One table of a backup, as its manifest says. */
export interface BackupTable {
  position: number;
  version: string;
  kind: Loss['kind'];
  /** The original's name. */
  source: string;
  /** The copy's name. */
  copy: string;
  rows: number;
}

export interface Backup {
  /** The schema. */
  name: string;
  /** Versions whose data it holds. */
  versions: string[];
  rows: number;
}

/** The name of a backup that is made at this moment. */
export function backupName(now: Date): string {
  return (
    PREFIX +
    now
      .toISOString()
      .replace(/\D/g, '')
      .replace(/^(\d{8})(\d{6})/, '$1_$2_')
  );
}

/**
 * Copies the lost rows and values, so that nothing can change between the copy and the drop: our own tables are
 * locked first. Host tables are only read; their locks come last, with the drop itself.
 * @returns how many rows were copied; 0 leaves no backup behind
 */
export async function backUp(sql: Sql, losses: Loss[], backup: string): Promise<number> {
  const own = losses.filter(({ kind }) => kind === 'rows').map(({ sqlName }) => sqlName);
  if (own.length > 0) await sql.unsafe(`lock table ${own.join(', ')} in access exclusive mode`);
  let total = 0;
  for (const loss of losses) total += await copyRows(sql, backup, loss, copyQuery(loss));
  return total;
}

/** Copies what a query returns, as rows or columns of this table. Returns how many rows; 0 leaves no copy behind. */
export async function copyRows(
  sql: Sql,
  backup: string,
  { version, kind, table }: Pick<Loss, 'version' | 'kind' | 'table'>,
  query: string,
): Promise<number> {
  const [some] = await sql.unsafe(`select exists (${query}) as some`);
  if (!some?.some) return 0;
  const last = await lastPosition(sql, backup);
  if (last === null) await createBackup(sql, backup);
  const position = (last ?? 0) + 1;
  const copy = `t${position}_${table}`.slice(0, 63);
  const { count } = await sql.unsafe(`create table ${quoteName(backup)}.${quoteName(copy)} as ${query}`);
  await sql.unsafe(
    `insert into ${quoteName(backup)}.manifest values (${position}, ${[version, kind, table, copy].map(quoteText).join(', ')}, ${count})`,
  );
  return count;
}

function copyQuery({ kind, sqlName, columns }: Loss): string {
  const names = columns.map(({ name }) => quoteName(name)).join(', ');
  if (kind === 'rows') return `select ${names} from ${sqlName}`;
  return `select id, ${names} from ${sqlName} where ${columns.map(isNotDefault).join(' or ')}`;
}

async function lastPosition(sql: Sql, backup: string): Promise<number | null> {
  const [found] = await sql`select to_regnamespace(${backup}) is not null as exists`;
  if (!found?.exists) return null;
  const [last] = await sql.unsafe<{ max: number | null }[]>(
    `select max(position) as max from ${quoteName(backup)}.manifest`,
  );
  return last?.max ?? 0;
}

async function createBackup(sql: Sql, backup: string): Promise<void> {
  const schema = quoteName(backup);
  await sql.unsafe(`
    create schema ${schema};
    comment on schema ${schema} is '${COMMENT}: what a rollback dropped';
    create table ${schema}.manifest (
      position integer primary key, version text not null, kind text not null, source text not null, copy text not null,
      rows bigint not null
    );
    do $calendly$ declare api_role text; begin
      for api_role in
        select 'public' union all select quote_ident(rolname) from pg_roles
        where rolname in (${API_ROLES.map(quoteText).join(', ')})
      loop execute format('revoke all on schema ${schema} from %s', api_role); end loop;
    end $calendly$`);
}

/** All backups of this database, oldest first. */
export function listBackups(database: Database): Promise<Backup[]> {
  return database.transaction(async (sql) => {
    const found = await sql<{ name: string }[]>`
      select nspname as name from pg_namespace
      where nspname like ${`${PREFIX}%`} and obj_description(oid, 'pg_namespace') like ${`${COMMENT}%`}
        and to_regclass(format('%I.manifest', nspname)) is not null
      order by 1`;
    const backups: Backup[] = [];
    for (const { name } of found) {
      const tables = await readManifest(sql, name);
      backups.push({
        name,
        versions: [...new Set(tables.map(({ version }) => version))].sort(),
        rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      });
    }
    return backups;
  });
}

/** What a backup holds, in the order in which it was written. */
export async function readManifest(sql: Sql, name: string): Promise<BackupTable[]> {
  return sql.unsafe<BackupTable[]>(
    `select position, version, kind, source, copy, rows::float8 as rows from ${quoteName(name)}.manifest order by position`,
  );
}

/**
 * Makes sure that there is such a backup.
 * @throws CalendlySyncError `usage`, naming those that exist
 */
export async function requireBackup(database: Database, name: string): Promise<Backup> {
  const backups = await listBackups(database);
  const found = backups.find((backup) => backup.name === name);
  if (found) return found;
  throw new CalendlySyncError(
    'usage',
    `There is no backup ${name} in ${database.label}; nothing was changed.`,
    {
      hint:
        backups.length === 0
          ? 'This database has no backups.'
          : `There are: ${backups.map((backup) => backup.name).join(', ')}`,
    },
  );
}

/**
 * Drops a backup for good.
 * @throws CalendlySyncError `usage` if there is none of that name
 */
export async function dropBackup(database: Database, name: string): Promise<void> {
  await requireBackup(database, name);
  await database.transaction(async (sql) => {
    await sql`select set_config('lock_timeout', '5s', true)`;
    await sql.unsafe(`drop schema ${quoteName(name)} cascade`);
  });
}
