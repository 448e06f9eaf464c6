/**
 * What would make the pending migrations fail, by the catalogs alone: found before anything is changed, reported all
 * at once. Whether a host's `meetings` accepts our rows is not judged here but tried (`trial-insert.ts`).
 */
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import { type Catalog, type CatalogTable, MARK } from './catalog.js';
import { columnsOf } from './drift.js';
import { EXPECTED } from './expected.js';

/** One obstacle, and what to do about it. */
export interface Obstacle {
  problem: string;
  fix: string;
}

/** The way around every obstacle that a host's tables are. */
const OWN_TABLES_HINT = 'Or keep all tables of calendly-sync apart: calendly-sync migrate --own-tables';
const MIN_POSTGRES = 13;
const ASCII_SAFE = ['UTF8', 'SQL_ASCII'];

/**
 * Checks the catalog against what these versions need.
 * @param made keys of objects that the history calls ours, whatever their comments say
 * @throws CalendlySyncError `preflight`; nothing was changed
 */
export function preflight(catalog: Catalog, versions: readonly string[], made: ReadonlySet<string>): void {
  const due = new Set(versions);
  const host = [...hostObstacles(catalog, 'users', due), ...hostObstacles(catalog, 'meetings', due)];
  const found = [
    ...serverObstacles(catalog),
    ...(due.has('001') ? elsewhere(catalog) : []),
    ...host,
    ...ownObstacles(catalog, due, made),
  ];
  if (found.length > 0) throw refusal(found, host.length > 0);
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

function serverObstacles({ version, readOnly, schema, creatable, user, encoding }: Catalog): Obstacle[] {
  const found: Obstacle[] = [];
  if (version < MIN_POSTGRES * 10_000)
    found.push({
      problem: `This is Postgres ${Math.floor(version / 10_000)}.`,
      fix: `Use Postgres ${MIN_POSTGRES} or newer.`,
    });
  if (readOnly)
    found.push({
      problem: 'The server is read-only: a standby, or default_transaction_read_only is on.',
      fix: 'Connect to the primary, with a role that may write.',
    });
  if (!ASCII_SAFE.includes(encoding))
    found.push({
      problem: `The encoding of the database is ${encoding}: names of meetings may have characters that it lacks.`,
      fix: 'Use a database with encoding UTF8.',
    });
  if (schema === null)
    found.push({
      problem: 'No schema of the search_path exists, so there is no place for tables.',
      fix: 'Name one with --schema calendly.',
    });
  else if (!creatable)
    found.push({
      problem: `${user} may not create tables in schema ${schema}.`,
      fix: `Let its owner or a superuser run: grant create on schema ${quoteName(schema)} to ${quoteName(user)}; or name another with --schema.`,
    });
  return found;
}

/** A second set of tables on the same users would fight with the first one over its columns. */
function elsewhere({ elsewhere: others, schema }: Catalog): Obstacle[] {
  return others.map((other) => ({
    problem: `calendly-sync keeps its tables for these users in schema ${other} already, not in ${schema}.`,
    fix: `Add --schema ${other}, or set CALENDLY_SYNC_SCHEMA=${other}.`,
  }));
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
};

function hostObstacles(catalog: Catalog, name: 'users' | 'meetings', due: Set<string>): Obstacle[] {
  const table = catalog.tables[name];
  if (!table) return [];
  if (table.kind !== 'r' && table.kind !== 'p')
    return [
      {
        problem: `${table.name} is ${KINDS[table.kind] ?? 'not a table'}; foreign keys need a table.`,
        fix: `Put the schema that holds the table ${name} first in the search_path, or rename the other.`,
      },
    ];
  if (table.persistence === 'u')
    return [
      {
        problem: `${table.name} is unlogged; a permanent table cannot refer to it.`,
        fix: `Run: alter table ${table.name} set logged;`,
      },
    ];
  if (!table.columns.id)
    return [{ problem: `${table.name} has no column id.`, fix: 'Rename its key to id, or give it one.' }];
  if (!table.uniqueId)
    return [
      {
        problem: `${table.name}.id is not unique, so nothing can refer to it.`,
        fix:
          table.kind === 'p'
            ? `The unique key of a partitioned table holds its partition key, so id alone cannot be unique there.`
            : `Run: alter table ${table.name} add unique (id);`,
      },
    ];
  const lacking = lackingColumns(name, table, due);
  if (lacking.length > 0 && !table.owned)
    return [ownerObstacle(catalog, table, `add columns to ${table.name} (${lacking.join(', ')})`)];
  if (!table.referable && lacksOwnTables(catalog, due))
    return [
      {
        problem: `${catalog.user} may not refer to ${table.name} with foreign keys: it belongs to ${table.owner} (SQLSTATE 42501).`,
        fix: `Let ${table.owner} or a superuser run: grant references on ${table.name} to ${quoteName(catalog.user)};`,
      },
    ];
  return [];
}

/** Tables of our names that are not ours, or not the current role's. */
function ownObstacles(catalog: Catalog, due: Set<string>, made: ReadonlySet<string>): Obstacle[] {
  return [...due].flatMap((version) =>
    Object.keys(EXPECTED[version] ?? {}).flatMap((key): Obstacle[] => {
      const table = key.startsWith('table ') ? catalog.tables[key.slice('table '.length)] : undefined;
      if (!table) return [];
      const ours = made.has(key) || table.mark?.startsWith(MARK);
      // 022 renames an older table of events and closes it.
      if (!ours && key !== 'table calendly_webhook_events')
        return [
          {
            problem: `A table ${table.name} exists already, and calendly-sync did not create it.`,
            fix: 'Rename it, or keep the tables of calendly-sync apart with --schema calendly.',
          },
        ];
      return table.owned ? [] : [ownerObstacle(catalog, table, `change ${table.name}`)];
    }),
  );
}

function lackingColumns(name: string, table: CatalogTable, due: Set<string>): string[] {
  return [...due].flatMap((version) => {
    const columns = EXPECTED[version]?.[`columns ${name}`];
    return columns ? columnsOf(columns).flatMap(([column]) => (table.columns[column] ? [] : [column])) : [];
  });
}

function lacksOwnTables({ tables }: Catalog, due: Set<string>): boolean {
  return [...due].some((version) =>
    Object.keys(EXPECTED[version] ?? {}).some(
      (key) => key.startsWith('table ') && !tables[key.slice('table '.length)],
    ),
  );
}

function ownerObstacle({ user }: Catalog, { name, owner }: CatalogTable, what: string): Obstacle {
  return {
    problem: `${user} may not ${what}: ${name} belongs to ${owner} (SQLSTATE 42501).`,
    fix: `Connect as ${owner}, or let ${owner} or a superuser run: grant ${quoteName(owner)} to ${quoteName(user)};`,
  };
}
