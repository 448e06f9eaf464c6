/**
 * Applies the migrations that a database lacks or has lost, one transaction per file. Returns what happened; prints
 * nothing.
 */
import { basename } from 'node:path';
import type { Database } from '../database/connection.js';
import { quoteName } from '../database/search-path.js';
import type { Adoption } from '../database/tables/adopt-meetings.js';
import { CalendlySyncError } from '../errors.js';
import { type Migration, readMigrations } from './files.js';
import {
  beforeText,
  createHistoryText,
  type HistoryRow,
  historyTable,
  historyText,
  marksText,
  readState,
  recordText,
} from './history.js';
import { requireAgreement } from './history-check.js';
import { type LockOptions, RETRY_LATER, runUnderLock, type Step } from './lock.js';
import { withResult } from './partial-failure.js';
import { explainingPermissions } from './permission-hint.js';
import { runFile } from './run-file.js';
import type { Catalog } from './schema/catalog.js';
import { type Drift, driftOf, isPresent } from './schema/drift.js';
import { idOf, type MigrationId, pendingOf, targetVersion } from './versions.js';
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
  /** What became of the rows of another integration; null if none were looked for. */
  adoption: Adoption | null;
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
  history: HistoryRow[];
  hasHistory: boolean;
  catalog: Catalog;
  drifted: Set<string>;
  due: Migration[];
}

/**
 * What `migrate` would do. Reads only.
 * @throws CalendlySyncError `preflight`, `migration_drift`, `usage`
 */
export function planMigrate(database: Database, options: MigrateOptions): Promise<MigratePlan> {
  return explainingPermissions(database, async () => {
    const { migrations, history, due } = await look(database, options);
    return { due, already: history.map(idOf), pending: pendingOf(migrations, history).map(idOf) };
  });
}

/**
 * Brings the database to the newest version, or to `to`, and repairs what drifted.
 * @throws CalendlySyncError `preflight` and `migration_drift` before anything is changed; `migration_failed`,
 * `locked` and `stopped` with the files before that one applied: then it is a `PartialFailure` with the result so
 * far
 */
export function migrate(database: Database, options: MigrateOptions = {}): Promise<MigrateResult> {
  return explainingPermissions(database, () => applyAll(database, withPath(database, options)));
}

/** With tables of our own, the host's are out of sight. */
function withPath(database: Database, options: MigrateOptions): MigrateOptions {
  if (!options.ownTables) return options;
  if (database.schema !== null) return { ...options, path: quoteName(database.schema) };
  throw new CalendlySyncError('usage', 'Tables of our own need a schema of their own.', {
    hint: 'Name it with --schema calendly.',
  });
}

async function applyAll(database: Database, options: MigrateOptions): Promise<MigrateResult> {
  const state = await look(database, options);
  const done: (Done | null)[] = [];
  if (state.due.length === 0) return resultOf(state, done);
  const steps = state.due.map((migration) => stepOf(database, migration, state));
  try {
    await runUnderLock(database, options, steps, done);
  } catch (error) {
    throw withResult(error, resultOf(state, done), done.filter(Boolean));
  }
  const result = resultOf(state, done);
  // Only an application's own meetings can hold rows of another integration.
  if (
    options.adopt !== false &&
    state.catalog.tables.meetings &&
    result.applied.some(({ version }) => version === '003')
  ) {
    const { adoptMeetings } = await import('../database/tables/adopt-meetings.js');
    result.adoption = await adoptMeetings(database, { signal: options.signal });
  }
  if (state.drifted.size === 0) return result;
  const { history, catalog } = await readState(database, options);
  return { ...resultOf(state, done, driftOf(catalog, history ?? [])), adoption: result.adoption };
}

async function look(database: Database, options: MigrateOptions): Promise<State> {
  const migrations = options.migrations ?? readMigrations();
  const to = targetVersion(migrations, options.to);
  const { history: found, catalog } = await readState(database, withPath(database, options));
  const history = found ?? [];
  requireAgreement(migrations, history);
  if (options.ownTables) requireOwnTables(catalog, history);
  const drifted = new Set(driftOf(catalog, history).map(({ version }) => version));
  const pending = new Set(pendingOf(migrations, history, to));
  const due = migrations.filter((migration) => pending.has(migration) || drifted.has(migration.version));
  if (due.length > 0) {
    const { preflight } = await import('./schema/preflight.js');
    const made = new Set(history.flatMap((row) => Object.keys(row.made)));
    preflight(
      catalog,
      due.map(({ version }) => version),
      made,
    );
  }
  return { migrations, history, hasHistory: found !== null, catalog, drifted, due };
}

/** Once applied to a host's tables, the migrations stay there. */
function requireOwnTables({ schema }: Catalog, history: HistoryRow[]): void {
  const first = history.find(({ version }) => Number(version) === 1);
  if (!first || 'table meetings' in first.made) return;
  throw new CalendlySyncError(
    'usage',
    `The migrations in schema ${schema} are applied to the tables of the application.`,
    {
      hint: 'Undo them first: calendly-sync rollback --to 0; or name another schema with --schema.',
    },
  );
}

function resultOf(state: State, done: (Done | null)[], drift: Drift[] = []): MigrateResult {
  const { migrations, history, due, drifted } = state;
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
  const repairs = state.drifted.has(version);
  let hasHistory = state.hasHistory;
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
      if (!repairs && history?.some((row) => Number(row.version) === Number(version))) return null;
      await shutOutSyncs(locked, state.catalog);
      const marks = history?.find((row) => row.version === version);
      if (marks) await locked.query(marksText(state.catalog, marks));
      const [, [row]] = await Promise.all([
        history ? null : locked.query(createHistoryText(schema)),
        runFile<{ ms: number; created: string[] }>(locked, up, recordText(schema, migration)),
      ]);
      if (version === '001' && state.catalog.tables.meetings && !repairs) {
        const { tryInserting } = await import('./schema/trial-insert.js');
        await tryInserting(locked.sql);
      }
      const { ms = 0, created = [] } = row ?? {};
      const isNew = (key: string) => !(key in state.catalog.objects);
      return {
        ...idOf(migration),
        ms,
        found: isPresent(state.catalog, version),
        created: created.filter(isNew),
      };
    },
  };
}
