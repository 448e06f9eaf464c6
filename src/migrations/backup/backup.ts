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

/** The name of a backup that is made at this moment: `calendly_backup_20260131_080000_000`. */
export function backupName(now: Date): string {
  const [, day, time, ms] = /^(.{8})(.{6})(.*)$/.exec(now.toISOString().replace(/\D/g, '')) ?? [];
  return `${PREFIX}${day}_${time}_${ms}`;
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
  for (const loss of losses) {
    const names = loss.columns.map(({ name }) => quoteName(name)).join(', ');
    const query =
      loss.kind === 'rows'
        ? `select ${names} from ${loss.sqlName}`
        : `select id, ${names} from ${loss.sqlName} where ${loss.columns.map(isNotDefault).join(' or ')}`;
    total += await copyRows(sql, backup, loss, query);
  }
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
  const schema = quoteName(backup);
  await sql.unsafe(`
    create schema if not exists ${schema};
    comment on schema ${schema} is '${COMMENT}: what a rollback dropped';
    create table if not exists ${schema}.manifest (
      position integer primary key, version text not null, kind text not null, source text not null, copy text not null,
      rows bigint not null
    );
    do $calendly$ declare api_role text; begin
      for api_role in
        select 'public' union all select quote_ident(rolname) from pg_roles
        where rolname in (${API_ROLES.map(quoteText).join(', ')})
      loop execute format('revoke all on schema ${schema} from %s', api_role); end loop;
    end $calendly$`);
  const position = (await readManifest(sql, backup)).length + 1;
  const copy = `t${position}_${table}`.slice(0, 63);
  const { count } = await sql.unsafe(`create table ${schema}.${quoteName(copy)} as ${query}`);
  const values = [version, kind, table, copy].map(quoteText).join(', ');
  await sql.unsafe(`insert into ${schema}.manifest values (${position}, ${values}, ${count})`);
  return count;
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
      const versions = [...new Set(tables.map(({ version }) => version))].sort();
      backups.push({ name, versions, rows: tables.reduce((sum, { rows }) => sum + rows, 0) });
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
export async function requireBackup(database: Database, name: string): Promise<void> {
  const names = (await listBackups(database)).map((backup) => backup.name);
  if (names.includes(name)) return;
  const hint = names.length === 0 ? 'This database has no backups.' : `There are: ${names.join(', ')}`;
  const message = `There is no backup ${name} in ${database.label}; nothing was changed.`;
  throw new CalendlySyncError('usage', message, { hint });
}

/**
 * Drops a backup for good.
 * @throws CalendlySyncError `usage` if there is none of that name
 */
export async function dropBackup(database: Database, name: string): Promise<void> {
  await requireBackup(database, name);
  await database.transaction((sql) => sql.unsafe(`drop schema ${quoteName(name)} cascade`));
}
