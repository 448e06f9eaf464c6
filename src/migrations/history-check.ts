/** Whether the history and the files agree: an edited, missing or late file is refused, with both hashes and the ways out. Pure. */
import { CalendlySyncError } from '../errors.js';
import { compareVersions, type Migration } from './files.js';
import type { HistoryRow } from './history.js';

/** One way in which history and files disagree. */
export interface Disagreement {
  kind: 'edited' | 'missing' | 'out_of_order';
  version: string;
  name: string;
  /** In the operator's words. */
  problem: string;
  /** What can be done about it. */
  fix: string;
}

/** Everything in which they disagree, in the order of versions. */
export function disagreements(
  migrations: Migration[],
  history: Pick<HistoryRow, 'version' | 'name' | 'checksum'>[],
): Disagreement[] {
  const files = new Map(migrations.map((migration) => [Number(migration.version), migration]));
  const applied = new Set(history.map(({ version }) => Number(version)));
  const newest = Math.max(0, ...applied);
  const found: Disagreement[] = [];
  for (const row of history) {
    const file = files.get(Number(row.version));
    if (!file) found.push(missing(row));
    else if (file.checksum !== row.checksum) found.push(edited(row, file));
  }
  for (const file of migrations) {
    if (Number(file.version) < newest && !applied.has(Number(file.version))) found.push(late(file, newest));
  }
  return found.sort((a, b) => compareVersions(a.version, b.version));
}

/** @throws CalendlySyncError `migration_drift` with all of them */
export function requireAgreement(migrations: Migration[], history: HistoryRow[]): void {
  const found = disagreements(migrations, history);
  if (found.length === 0) return;
  throw new CalendlySyncError('migration_drift', found.map(({ problem }) => problem).join('\n'), {
    hint: resolutionHint(found, migrations),
  });
}

/** What can be done about all of them together. */
function resolutionHint(found: Disagreement[], migrations: Migration[]): string {
  const edited = found.filter(({ kind }) => kind === 'edited');
  const [first] = edited;
  if (!first || edited.length === 1) return [...new Set(found.map(({ fix }) => fix))].join('\n');
  const others = found.filter(({ kind }) => kind !== 'edited').map(({ fix }) => fix);
  const checksums = new Map(migrations.map(({ version, checksum }) => [version, checksum]));
  const rest = [
    `Put the files back as they were; or undo and redo them (calendly-sync rollback --to ${Number(first.version) - 1}, then calendly-sync migrate); ` +
      'or, when the schema is what the files now make, take their new wording as it is:',
    ...edited.map(({ version }) => `  ${acceptance(version, checksums.get(version) ?? '')}`),
  ];
  return [...rest, ...new Set(others)].join('\n');
}

/** Takes a file's new wording for the applied one. */
function acceptance(version: string, checksum: string): string {
  return `update calendly_migrations set checksum = '${checksum}' where version = '${version}';`;
}

function edited(row: Pick<HistoryRow, 'version' | 'name' | 'checksum'>, file: Migration): Disagreement {
  const before = String(Number(row.version) - 1);
  return {
    kind: 'edited',
    version: row.version,
    name: row.name,
    problem: `${row.version}_${row.name}.up.sql was changed after it was applied: it was ${row.checksum}, it is ${file.checksum}.`,
    fix:
      `Put the file back as it was; or undo and redo it (calendly-sync rollback --to ${before}, then calendly-sync migrate); ` +
      `or, when the schema is what the file now makes, take its new wording as it is: ` +
      acceptance(row.version, file.checksum),
  };
}

function missing(row: Pick<HistoryRow, 'version' | 'name' | 'checksum'>): Disagreement {
  return {
    kind: 'missing',
    version: row.version,
    name: row.name,
    problem: `${row.version}_${row.name} is applied (${row.checksum}), but there is no such file (no hash).`,
    fix: 'Use the version of calendly-sync that applied it, or a newer one.',
  };
}

function late(file: Migration, newest: number): Disagreement {
  return {
    kind: 'out_of_order',
    version: file.version,
    name: file.name,
    problem: `${file.version}_${file.name} (${file.checksum}) is not applied, but ${String(newest).padStart(3, '0')}, which comes after it, is.`,
    fix: `Go back to before it and forward again: calendly-sync rollback --to ${Number(file.version) - 1}, then calendly-sync migrate.`,
  };
}
