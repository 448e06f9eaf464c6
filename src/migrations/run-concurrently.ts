/**
 * `-- no-transaction` files: one CREATE or DROP INDEX CONCURRENTLY, which Postgres refuses inside a transaction. The lock and the
 * history stay in the surrounding transaction, which has no snapshot meanwhile, so that the index build does not wait for it.
 */
import { basename } from 'node:path';
import type { Database, Sql } from '../database/connection.js';
import { quoteName } from '../database/search-path.js';
import { CalendlySyncError } from '../errors.js';
import type { SqlFile } from './files.js';
import { type MigrationEvent, stoppedError } from './lock.js';
import { describeProgress, isWaiting, readProgress } from './progress.js';
import { fileError } from './run-file.js';
import { readIndexState } from './schema/index-state.js';
import { type Statement, splitStatements } from './statements.js';

/** What such a file says. */
export type IndexStatement = Statement &
  (
    | {
        action: 'create';
        name: string;
        unique: boolean;
        table: string;
        /** Null when they are expressions or have options: then no other index is taken for an equal one. */
        columns: string[] | null;
      }
    | { action: 'drop'; name: string }
    | { action: 'other' }
  );

const NAME = String.raw`(\w+|"(?:[^"]|"")+")`;
const CREATE = new RegExp(
  String.raw`^create\s+(unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?${NAME}\s+on\s+${NAME}\s*([^\s.][\s\S]*)$`,
  'i',
);
const PLAIN_COLUMNS = /^\(([\w\s,]+)\)\s*;?$/;
const DROP = new RegExp(String.raw`^drop\s+index\s+concurrently\s+(?:if\s+exists\s+)?${NAME}\s*;?$`, 'i');
const PROGRESS_EVERY_MS = 1_000;

/**
 * Reads a `-- no-transaction` file.
 * @throws CalendlySyncError `migration_failed` when it holds more or less than one statement
 */
function parseIndexFile(file: SqlFile): IndexStatement {
  const [statement, ...rest] = splitStatements(file.text);
  if (!statement || rest.length > 0) {
    throw new CalendlySyncError(
      'migration_failed',
      `${basename(file.path)}: a "-- no-transaction" file holds one statement, because only one can be undone by the server when it fails; this one has ${rest.length + (statement ? 1 : 0)}.`,
    );
  }
  const create = CREATE.exec(statement.text);
  if (create) {
    const [, unique, name = '', table = '', columns = ''] = create;
    return {
      ...statement,
      action: 'create',
      name: unquoted(name),
      unique: unique !== undefined,
      table: unquoted(table),
      columns:
        PLAIN_COLUMNS.exec(columns)?.[1]
          ?.split(',')
          .map((column) => column.trim()) ?? null,
    };
  }
  const drop = DROP.exec(statement.text);
  return drop
    ? { ...statement, action: 'drop', name: unquoted(drop[1] ?? '') }
    : { ...statement, action: 'other' };
}

/** A name as the catalogs hold it. */
function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}

interface Run {
  file: SqlFile;
  /** How long it may stand still because of others, in ms. */
  maxWaitMs: number;
  signal: AbortSignal | undefined;
  onEvent: ((event: MigrationEvent) => void) | undefined;
}

/** What became of a `-- no-transaction` file: done now, found done, or somebody else is building the index at this moment. */
export type Outcome = 'done' | 'found' | 'building';

/** Runs such a file, up or down, whatever half of it an earlier try has left. */
export async function runOutside(database: Database, sql: Sql, run: Run): Promise<Outcome> {
  const index = parseIndexFile(run.file);
  if (index.action === 'create') return buildIndex(database, sql, index, run);
  if (index.action === 'drop') return dropIndex(database, sql, index, run);
  await outside(database, sql, index, index.text, run);
  return 'done';
}

/** An index that a failure left invalid is dropped first, and dropped again when the build fails. */
async function buildIndex(
  database: Database,
  sql: Sql,
  index: IndexStatement & { action: 'create' },
  run: Run,
): Promise<Outcome> {
  const state = await readIndexState(sql, { ...index, columns: index.columns ?? [] });
  if (state.building) return 'building';
  if (state.valid || (index.columns && state.equal)) return 'found';
  const { table } = state;
  const text =
    table === null ? index.text : index.text.replace(/\bon\s+(\w+|"(?:[^"]|"")+")/i, () => `on ${table}`);
  if (state.empty || database.kind === 'embedded') return inside(sql, index, text, state.name, run.file);
  if (state.name !== null)
    await outside(database, sql, index, `drop index concurrently if exists ${state.name}`, run);
  try {
    await outside(database, sql, index, text, run);
  } catch (thrown) {
    await dropLeftover(database, table, index.name);
    throw thrown;
  }
  return 'done';
}

/** An invalid index slows every write down and is of no use. When it cannot be dropped soon, the next try does it. */
async function dropLeftover(database: Database, table: string | null, name: string): Promise<void> {
  if (table === null) return;
  const schema = table.slice(0, table.lastIndexOf(table.endsWith('"') ? '."' : '.'));
  const left = `drop index concurrently if exists ${schema}.${quoteName(name)}`;
  await database.statement(left, { signal: AbortSignal.timeout(5_000) }).catch(() => []);
}

async function dropIndex(
  database: Database,
  sql: Sql,
  index: IndexStatement & { action: 'drop' },
  run: Run,
): Promise<Outcome> {
  const [found] = await sql<{ name: string }[]>`
    select format('%I.%I', nspname, relname) as name
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = coalesce(
      to_regclass(quote_ident(${index.name})),
      (
        select oid from pg_class as beside
        where relname = ${index.name} and relkind in ('i', 'I')
          and relnamespace in (select relnamespace from pg_class where oid in (to_regclass('meetings'), to_regclass('users')))
        limit 1
      )
    )`;
  if (!found) return 'found';
  const text = `drop index concurrently if exists ${found.name}`;
  if (database.kind === 'embedded') return inside(sql, index, text, null, run.file);
  await outside(database, sql, index, text, run);
  return 'done';
}

/** With no row to read and nobody to disturb there is no need for more than the transaction: in an empty table, in the embedded database. */
async function inside(
  sql: Sql,
  index: IndexStatement,
  text: string,
  leftover: string | null,
  file: SqlFile,
): Promise<Outcome> {
  try {
    if (leftover !== null) await sql.unsafe(`drop index ${leftover}`);
    await sql.unsafe(text.replace(/\s+concurrently\b/i, ''));
  } catch (thrown) {
    throw fileError(file, index, thrown);
  }
  return 'done';
}

/**
 * Runs the statement outside of the transaction. Work may take as long as it takes; waiting for others may not.
 * @throws CalendlySyncError `locked` when it waited too long, `migration_failed` when the server refused it
 */
async function outside(
  database: Database,
  sql: Sql,
  index: IndexStatement,
  text: string,
  run: Run,
): Promise<void> {
  // The last query with parameters keeps its portal, and with it a snapshot that the build would wait for. A simple one closes it.
  await sql.unsafe('select');
  const giveUp = new AbortController();
  let waitingSince: number | null = null;
  let newest = '';
  const look = async () => {
    const progress = await readProgress(database);
    newest = describeProgress('name' in index ? index.name : 'statement', progress);
    waitingSince = isWaiting(progress) ? (waitingSince ?? performance.now()) : null;
    run.onEvent?.({ kind: 'progress', file: basename(run.file.path), text: newest });
    if (waitingSince !== null && performance.now() - waitingSince > run.maxWaitMs) giveUp.abort();
  };
  // What cannot be seen now is looked at again a second later.
  const timer = setInterval(() => look().catch(() => {}), PROGRESS_EVERY_MS);
  const signal = run.signal ? AbortSignal.any([run.signal, giveUp.signal]) : giveUp.signal;
  try {
    await database.statement(text, { signal, session: true });
  } catch (thrown) {
    if (run.signal?.aborted) throw stoppedError(basename(run.file.path));
    if (giveUp.signal.aborted) throw waitedError(basename(run.file.path), newest, thrown);
    throw fileError(run.file, index, thrown instanceof CalendlySyncError ? thrown.cause : thrown);
  } finally {
    clearInterval(timer);
  }
}

function waitedError(file: string, newest: string, cause: unknown): CalendlySyncError {
  return new CalendlySyncError('locked', `${file}: waited in vain; ${newest}`, {
    hint: 'Run the same command again when that transaction has ended, or give it longer with --max-wait 10m.',
    cause,
  });
}
