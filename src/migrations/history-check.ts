/**
 * Whether history and files agree: an edited, missing or late file is refused, with both hashes and the ways out.
 * Pure.
 */
import { CalendlySyncError } from '../errors.js';
import { compareVersions, type Migration, type MigrationId } from './files.js';
import type { HistoryRow } from './history.js';

/** One way in which history and files disagree. */
export interface Disagreement extends MigrationId {
  kind: 'edited' | 'missing' | 'out_of_order';
  /** In the operator's words. */
  problem: string;
  /** What can be done about it. */
  fix: string;
}

type Recorded = Pick<HistoryRow, 'version' | 'name' | 'checksum'>;

/** Everything in which they disagree, in the order of versions. */
export function disagreements(migrations: Migration[], history: Recorded[]): Disagreement[] {
  const versions = history.map(({ version }) => Number(version));
  const newest = Math.max(0, ...versions);
  const found: Disagreement[] = [];
  for (const { version, name, checksum } of migrations) {
    if (Number(version) >= newest || versions.includes(Number(version))) continue;
    const problem = `${version}_${name} (${checksum}) is not applied, but ${String(newest).padStart(3, '0')}, which comes after it, is.`;
    const fix = `Go back to before it and forward again: ${redo(version)}.`;
    found.push({ kind: 'out_of_order', version, name, problem, fix });
  }
  for (const { version, name, checksum } of history) {
    const file = migrations.find((migration) => Number(migration.version) === Number(version));
    if (file?.checksum === checksum) continue;
    const id = { version, name };
    if (!file) {
      const problem = `${version}_${name} is applied (${checksum}), but there is no such file (no hash).`;
      const fix = 'Use the version of calendly-sync that applied it, or a newer one.';
      found.push({ kind: 'missing', ...id, problem, fix });
    } else {
      const problem = `${version}_${name}.up.sql was changed after it was applied: it was ${checksum}, it is ${file.checksum}.`;
      const fix =
        `Put the file back as it was; or undo and redo it (${redo(version)}); or, if the schema is what the file now creates, ` +
        `accept it: update calendly_migrations set checksum = '${file.checksum}' where version = '${version}';`;
      found.push({ kind: 'edited', ...id, problem, fix });
    }
  }
  return found.sort((a, b) => compareVersions(a.version, b.version));
}

/** @throws CalendlySyncError `migration_drift` with all of them */
export function requireAgreement(migrations: Migration[], history: Recorded[]): void {
  const found = disagreements(migrations, history);
  if (found.length === 0) return;
  throw new CalendlySyncError('migration_drift', found.map(({ problem }) => problem).join('\n'), {
    hint: [...new Set(found.map(({ fix }) => fix))].join('\n'),
  });
}

function redo(version: string): string {
  return `calendly-sync rollback --to ${Number(version) - 1}, then calendly-sync migrate`;
}
