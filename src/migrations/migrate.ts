/**
 * Applies the migrations that a database lacks or has lost, one transaction per file. Returns what happened; prints
 * nothing.
 */
import { basename } from 'node:path';
import type { Database } from '../database/connection.js';
import { quoteName } from '../database/search-path.js';
import type { Adoption } from '../database/tables/adopt-meetings.js';
import { CalendlySyncError } from '../errors.js';
import { idOf, type Migration, type MigrationId, pendingOf, readMigrations, targetVersion } from './files.js';
import {
  beforeText,
  createHistoryText,
  createSchemaText,
  type HistoryRow,
  historyTable,
  historyText,
  marksText,
  readState,
  recordText,
} from './history.js';
import { requireAgreement } from './history-check.js';
import { type LockOptions, RETRY_LATER, runUnderLock, type Step, withResult } from './lock.js';
import { runFile } from './run-file.js';
import type { Catalog } from './schema/catalog.js';
import { type Drift, driftOf } from './schema/drift.js';
import { shutOutSyncs } from './writers.js';

export interface MigrateOptions extends LockOptions {
  /** Stop after this version; `22` and `022` are the same. */
  to?: string | undefined;
  /** The files; the tool's own if absent. */
  migrations?: Migration[] | undefined;
  /** Create `users` and `meetings` in the database's schema too, and leave the host's alone. */
  ownTables?: boolean | undefined;
  /** False leaves the rows of another integration alone: before a restore, which brings back what was known of them. */
  adopt?: boolean | undefined;
}

/** A migration that was applied now. */
export interface Applied extends MigrationId {
  /** How long its file took, in ms. */
  ms: number;
  /** All that it creates existed: somebody ran the file by hand. */
  found: boolean;
}

type Done = Applied & { created: string[] };

export interface MigrateResult {
  /** What this run created on the host's side: `table users`, `table meetings`, `trigger … on meetings`. */
  created: string[];
  applied: Applied[];
  /** Applied before, and run again because something that they create was missing or different. */
  repaired: MigrationId[];
  already: MigrationId[];
  pending: MigrationId[];
  /** What became of the rows of another integration, with a few duplicates in words; null if none were looked for. */
  adoption: (Adoption & { examples: string[] }) | null;
  /** What running a file again did not repair: it has to be changed by hand. */
  drift: Drift[];
}

export interface MigratePlan {
  /** What a migration would run now, in order. */
  due: Migration[];
  already: MigrationId[];
  pending: MigrationId[];
}

interface State {
  migrations: Migration[];
  /** Null if there is no history yet. */
  history: HistoryRow[] | null;
  catalog: Catalog;
  /** Versions that are applied and have drifted. */
  drifted: Set<string>;
  due: Migration[];
}

/**
 * What `migrate` would do. Reads only.
 * @throws CalendlySyncError `preflight`, `migration_drift`, `usage`
 */
export async function planMigrate(database: Database, options: MigrateOptions): Promise<MigratePlan> {
  const state = await look(database, withPath(database, options));
  const { already, pending } = resultOf(state, []);
  return { due: state.due, already, pending };
}

/**
 * Brings the database to the newest version, or to `to`, and repairs what drifted.
 * @throws CalendlySyncError `preflight` and `migration_drift` before anything is changed; `migration_failed`,
 * `locked` and `stopped` with the files before that one applied: the error has the result so far
 */
export async function migrate(database: Database, given: MigrateOptions = {}): Promise<MigrateResult> {
  const options = withPath(database, given);
  const state = await look(database, options);
  const done: (Done | null)[] = [];
  const steps = state.due.map((migration) => stepOf(database, migration, state));
  await withResult(runUnderLock(database, options, steps, done), done, () => resultOf(state, done));
  const result = resultOf(state, done);
  // Only an application's own meetings can hold rows of another integration.
  const hosted = state.catalog.tables.meetings && result.applied.some(({ version }) => version === '003');
  if (hosted && options.adopt !== false) {
    const { adoptMeetings } = await import('../database/tables/adopt-meetings.js');
    const examples: string[] = [];
    const onDuplicate = (text: string) => examples.length < 3 && examples.push(text);
    result.adoption = {
      ...(await adoptMeetings(database, { signal: options.signal, onDuplicate })),
      examples,
    };
  }
  if (state.drifted.size === 0) return result;
  const { history, catalog } = await readState(database, options);
  return { ...resultOf(state, done, driftOf(catalog, history ?? [])), adoption: result.adoption };
}

/** With tables of our own, the host's are out of sight. */
function withPath(database: Database, options: MigrateOptions): MigrateOptions {
  if (!options.ownTables) return options;
  if (database.schema !== null) return { ...options, path: quoteName(database.schema) };
  throw new CalendlySyncError('usage', 'Tables of our own need a schema of their own.', {
    hint: 'Name it with --schema calendly.',
  });
}

async function look(database: Database, options: MigrateOptions): Promise<State> {
  const migrations = options.migrations ?? readMigrations();
  const to = targetVersion(migrations, options.to);
  const { history, catalog } = await readState(database, options);
  const rows = history ?? [];
  requireAgreement(migrations, rows);
  const first = rows.find(({ version }) => Number(version) === 1);
  if (options.ownTables && first && !('table meetings' in first.made))
    throw new CalendlySyncError(
      'usage',
      `The migrations in schema ${catalog.schema} are applied to the tables of the application.`,
      { hint: 'Undo them first: calendly-sync rollback --to 0; or name another schema with --schema.' },
    );
  const drifted = new Set(driftOf(catalog, rows).map(({ version }) => version));
  const pending = new Set(pendingOf(migrations, rows, to));
  const due = migrations.filter((migration) => pending.has(migration) || drifted.has(migration.version));
  if (due.length > 0) {
    const { preflight } = await import('./schema/preflight.js');
    const made = new Set(rows.flatMap((row) => Object.keys(row.made)));
    preflight(
      catalog,
      due.map(({ version }) => version),
      made,
    );
  }
  return { migrations, history, catalog, drifted, due };
}

function resultOf(state: State, done: (Done | null)[], drift: Drift[] = []): MigrateResult {
  const { migrations, due, drifted } = state;
  const history = state.history ?? [];
  const ran = done.filter((item) => item !== null);
  const others = due.filter(({ version }, index) => done[index] === null && !drifted.has(version));
  const isRepaired = ({ version }: MigrationId) => !drift.some((item) => item.version === version);
  return {
    applied: ran.filter(({ version }) => !drifted.has(version)).map(({ created: _created, ...item }) => item),
    created: ran.flatMap(({ created }) => created),
    repaired: ran.filter((item) => drifted.has(item.version) && isRepaired(item)).map(idOf),
    already: [...history, ...others].map(idOf),
    pending: pendingOf(migrations, [...history, ...ran, ...others]).map(idOf),
    adoption: null,
    drift,
  };
}

/** Runs one file and records it; null if another process was faster. */
function stepOf(database: Database, migration: Migration, state: State): Step<Done | null> {
  const { schema } = database;
  const { version, up } = migration;
  const { catalog } = state;
  const repairs = state.drifted.has(version);
  let hasHistory = state.history !== null;
  return {
    file: basename(up.path),
    prepare: beforeText(schema),
    lookup: (follows) =>
      hasHistory || follows
        ? historyText(schema)
        : `select to_regclass('${historyTable(schema)}') is not null as "exists"`,
    async run(locked, found) {
      const [first] = found as ({ exists?: boolean } & Partial<HistoryRow>)[];
      if (first?.exists) {
        hasHistory = true;
        return RETRY_LATER;
      }
      const history = first?.exists === false ? null : (found as HistoryRow[]);
      const recorded = history?.find((row) => Number(row.version) === Number(version));
      if (recorded && !repairs) return null;
      await shutOutSyncs(locked, catalog, history);
      if (recorded) await locked.query(marksText(catalog, recorded));
      const [row] = await runFile<{ ms: number; keys: string[] }>(locked, up, {
        before: history ? '' : createSchemaText(schema),
        after: (history ? '' : createHistoryText(schema)) + recordText(schema, migration),
      });
      if (version === '001' && catalog.tables.meetings && !repairs) {
        const { tryInserting } = await import('./schema/trial-insert.js');
        await tryInserting(locked.sql);
      }
      const { ms = 0, keys = [] } = row ?? {};
      const created = keys.filter((key) => !(key in catalog.objects));
      return {
        ...idOf(migration),
        ms,
        found: keys.length > 0 && created.length === 0,
        created: created.filter((key) => /^table (users|meetings)$|^trigger .* on meetings$/.test(key)),
      };
    },
  };
}
