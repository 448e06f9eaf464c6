/**
 * What the catalogs show would make a later file fail, when an earlier one is applied already: refused before anything
 * is changed. What the first file itself meets is not judged here: Postgres says it, and its transaction is rolled back.
 */
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import { type Catalog, MARK } from './catalog.js';
import { columnsOf } from './drift.js';
import { EXPECTED } from './expected.js';

/** One obstacle, and what to do about it. */
export interface Obstacle {
  problem: string;
  fix: string;
}

const OWN_TABLES_HINT = 'Or keep all tables of calendly-sync apart: calendly-sync migrate --own-tables';
const MIN_POSTGRES = 13;

/**
 * Checks the catalog against what these versions need.
 * @param made keys of objects that the history calls ours, whatever their comments say
 * @throws CalendlySyncError `preflight`; nothing was changed
 */
export function preflight(catalog: Catalog, versions: readonly string[], made: ReadonlySet<string>): void {
  const { version, encoding, elsewhere, schema, tables, user } = catalog;
  const found: Obstacle[] = [];
  const refuse = (problem: string, fix: string) => found.push({ problem, fix });
  if (version < MIN_POSTGRES * 10_000)
    refuse(`This is Postgres ${Math.floor(version / 10_000)}.`, `Use Postgres ${MIN_POSTGRES} or newer.`);
  if (encoding !== 'UTF8' && encoding !== 'SQL_ASCII')
    refuse(
      `The encoding of the database is ${encoding}: names of meetings may have characters that it lacks.`,
      'Use a database with encoding UTF8.',
    );
  // A second set of tables on the same users would fight with the first one over its columns.
  for (const other of versions.includes('001') ? elsewhere : [])
    refuse(
      `calendly-sync keeps its tables for these users in schema ${other} already, not in ${schema}.`,
      `Add --schema ${other}, or set CALENDLY_SYNC_SCHEMA=${other}.`,
    );
  const others = found.length;
  for (const name of ['users', 'meetings']) {
    const table = tables[name];
    if (table?.unreferable) refuse(`${table.name} ${table.unreferable}`, '');
  }
  for (const [key, columns] of versions.flatMap((due) => Object.entries(EXPECTED[due] ?? {}))) {
    const [, kind, name = ''] = /^(table|columns|view) (.*)$/.exec(key) ?? [];
    const table = tables[name];
    if (!table) continue;
    const isOurs = made.has(key) || table.mark?.startsWith(MARK);
    if (kind === 'view') {
      // 022 replaces the view of an older 022; its rollback restores that.
      if (!isOurs && !(name === 'calendly_sync_health' && table.isView))
        refuse(
          `The name of our view ${table.name} is taken by something that calendly-sync did not create.`,
          'Rename it, or keep the tables of calendly-sync apart with --schema calendly.',
        );
      continue;
    }
    const lacking = columnsOf(columns).flatMap(([column]) => (table.columns[column] ? [] : [column]));
    const change =
      kind === 'table' ? `change ${table.name}` : `add columns to ${table.name} (${lacking.join(', ')})`;
    // 022 renames an older table of events and closes it.
    if (kind === 'table' && !isOurs && name !== 'calendly_webhook_events')
      refuse(
        `A table ${table.name} exists already, and calendly-sync did not create it.`,
        'Rename it, or keep the tables of calendly-sync apart with --schema calendly.',
      );
    else if (!table.owned && (kind === 'table' || lacking.length > 0))
      refuse(
        `${user} may not ${change}: ${table.name} belongs to ${table.owner} (SQLSTATE 42501).`,
        `Connect as ${table.owner}, or let ${table.owner} or a superuser run: grant ${quoteName(table.owner)} to ${quoteName(user)};`,
      );
  }
  if (found.length > 0) throw refusal(found, found.length > others);
}

/** The error for all of them. `host`: tables of our own would be a way around. */
export function refusal(obstacles: Obstacle[], host: boolean): CalendlySyncError {
  const fixes = new Set(obstacles.map(({ fix }) => fix).filter(Boolean));
  if (host) fixes.add(OWN_TABLES_HINT);
  return new CalendlySyncError(
    'preflight',
    `Nothing was changed, because this would fail:\n${obstacles.map(({ problem }) => `- ${problem}`).join('\n')}`,
    { hint: [...fixes].join('\n') },
  );
}
