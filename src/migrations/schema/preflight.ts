/**
 * Everything that would make the pending migrations fail, found before anything is touched and told all at once.
 * Reads only.
 */

import type { Database } from '../../database/connection.js';
import { quoteName } from '../../database/search-path.js';
import { CalendlySyncError } from '../../errors.js';
import type { Migration } from '../files.js';
import type { Attempt } from '../lock.js';
import { type Catalog, type CatalogTable, MARK, readCatalog } from './catalog.js';
import { missingOf } from './drift.js';
import { duplicates } from './duplicates.js';
import { HOST_COLUMNS, INDEXES, OWN_TABLES } from './expected.js';

/** One thing that stands in the way, and what to do about it. */
export interface Problem {
  problem: string;
  fix: string;
}

export interface Preflight {
  /** Versions of which everything is there already: somebody ran the file by hand. */
  byHand: Set<string>;
}

const OLDEST_POSTGRES = 13;
/** Columns without which a webhook events table of somebody else cannot be taken over. */
const EVENT_COLUMNS = ['id', 'event_id', 'event_type', 'payload', 'user_id', 'processed_at', 'created_at'];

/**
 * Checks the database against what the migrations need.
 * @throws CalendlySyncError `preflight`; nothing was changed
 */
export async function preflight(
  database: Database,
  due: Migration[],
  options: Pick<Attempt, 'signal' | 'onEvent'> = {},
): Promise<Preflight> {
  const { catalog, problems } = await database.transaction(
    async (sql) => {
      const catalog = await readCatalog(sql, database.schema);
      return {
        catalog,
        problems: [...problemsOf(catalog, due), ...(await duplicates(sql, catalog, due, options))],
      };
    },
    { readOnly: true },
  );
  if (problems.length > 0) {
    throw new CalendlySyncError(
      'preflight',
      `Nothing was changed, because this would fail:\n${problems.map(({ problem }) => `- ${problem}`).join('\n')}`,
      { hint: [...new Set(problems.map(({ fix }) => fix))].join('\n') },
    );
  }
  const byHand = due.filter(({ version }) => missingOf(catalog, version)?.length === 0);
  return { byHand: new Set(byHand.map(({ version }) => version)) };
}

/** What stands in the way, by the catalogs alone. Pure. */
function problemsOf(catalog: Catalog, due: Pick<Migration, 'version'>[]): Problem[] {
  const versions = new Set(due.map(({ version }) => version));
  return [
    ...serverProblems(catalog),
    ...(versions.has('001') ? elsewhereProblems(catalog) : []),
    ...usersProblems(catalog, versions),
    ...meetingsProblems(catalog, versions),
    ...ownProblems(catalog, versions),
  ];
}

function serverProblems({ version, readOnly, schema, creatable, user }: Catalog): Problem[] {
  const problems: Problem[] = [];
  if (version < OLDEST_POSTGRES * 10_000) {
    problems.push({
      problem: `This is Postgres ${Math.floor(version / 10_000)}.`,
      fix: `Use Postgres ${OLDEST_POSTGRES} or newer.`,
    });
  }
  if (readOnly) {
    problems.push({ problem: 'The server is a read-only standby.', fix: 'Connect to the primary.' });
  }
  if (schema === null) {
    problems.push({
      problem: 'No schema of the search_path exists, so there is no place for tables.',
      fix: 'Name one with --schema calendly.',
    });
  } else if (!creatable) {
    problems.push({
      problem: `${user} may not create tables in schema ${schema}.`,
      fix: `Let its owner or a superuser run: grant create on schema ${schema} to ${user}; or name another with --schema.`,
    });
  }
  return problems;
}

/** A second set of tables on the same users would fight with the first one for its columns. */
function elsewhereProblems({ elsewhere, schema }: Catalog): Problem[] {
  return elsewhere.map((other) => ({
    problem: `calendly-sync keeps its tables for these users in schema ${other} already, not in ${schema}.`,
    fix: `Add --schema ${other}, or set CALENDLY_SYNC_SCHEMA=${other}.`,
  }));
}

function usersProblems(catalog: Catalog, versions: Set<string>): Problem[] {
  const { users } = catalog.tables;
  if (!users) return [];
  const problems = hostProblems('users', users);
  if (problems.length > 0) return problems;
  const lacking = lackingColumns('users', users, versions);
  if (lacking.length > 0 && !users.owned) {
    problems.push(ownerProblem(catalog, users, `add columns to ${users.name} (${lacking.join(', ')})`));
  } else if (
    !users.referable &&
    needsTable(catalog, versions, ['calendly_accounts', 'calendly_sync_runs', 'calendly_webhook_events'])
  ) {
    problems.push(referenceProblem(catalog, users));
  }
  return [...problems, ...typeProblems(catalog, 'users', users)];
}

function meetingsProblems(catalog: Catalog, versions: Set<string>): Problem[] {
  const { meetings } = catalog.tables;
  if (!meetings) return [];
  const problems = hostProblems('meetings', meetings);
  if (problems.length > 0) return problems;
  const lacking = lackingColumns('meetings', meetings, versions);
  const indexes = lackingIndexes(catalog, versions);
  if (!meetings.owned && lacking.length + indexes.length > 0) {
    const what = [
      ...(lacking.length > 0 ? [`columns (${lacking.join(', ')})`] : []),
      ...(indexes.length > 0 ? ['indexes'] : []),
    ];
    problems.push(ownerProblem(catalog, meetings, `add ${what.join(' and ')} to ${meetings.name}`));
  } else if (
    !meetings.referable &&
    needsTable(catalog, versions, ['meeting_invitees', 'calendly_event_reads'])
  ) {
    problems.push(referenceProblem(catalog, meetings));
  }
  if (meetings.kind === 'p' && indexes.length > 0) {
    problems.push({
      problem: `${meetings.name} is partitioned, and indexes of partitioned tables cannot be built without blocking writers.`,
      fix: indexes
        .map((name) => {
          const { columns, unique } = INDEXES[name] ?? { columns: [], unique: false };
          return `Create it yourself: create ${unique ? 'unique ' : ''}index on ${meetings.name} (${columns.join(', ')});`;
        })
        .join('\n'),
    });
  }
  return [...problems, ...typeProblems(catalog, 'meetings', meetings), ...requiredProblems(meetings)];
}

/** What foreign keys to a table of somebody else need of it. */
function hostProblems(name: string, table: CatalogTable): Problem[] {
  if (table.kind !== 'r' && table.kind !== 'p') {
    const kind = { v: 'a view', m: 'a materialized view', f: 'a foreign table' }[table.kind] ?? 'no table';
    return [
      {
        problem: `${table.name} is ${kind}; foreign keys need a table.`,
        fix: `Put the schema that holds the table ${name} first in the search_path, or rename the other.`,
      },
    ];
  }
  if (!table.columns.id) {
    return [{ problem: `${table.name} has no column id.`, fix: `Rename its key to id, or give it one.` }];
  }
  if (!table.unique.some((columns) => columns.length === 1 && columns[0] === 'id')) {
    return [
      {
        problem: `${table.name}.id is not unique, so nothing can refer to it.`,
        fix: `Run: alter table ${table.name} add primary key (id);`,
      },
    ];
  }
  return [];
}

/** Columns of the sync that a host's table has with types that the sync cannot write. */
function typeProblems(catalog: Catalog, name: 'users' | 'meetings', table: CatalogTable): Problem[] {
  return Object.entries(HOST_COLUMNS[name]).flatMap(([column, { type }]) => {
    const there = table.columns[column];
    if (!there || fits(catalog, type, there.base)) return [];
    const wanted = type === 'users.id' ? `${catalog.tables.users?.columns.id?.type} like users.id` : type;
    return [
      {
        problem: `${table.name}.${column} is ${there.type}; calendly-sync needs ${wanted} there.`,
        fix: `Rename that column of ${table.name}, or change its type; calendly-sync adds its own where there is none.`,
      },
    ];
  });
}

const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  text: ['text', 'varchar', 'bpchar', 'citext'],
  'timestamp with time zone': ['timestamptz', 'timestamp'],
  jsonb: ['jsonb', 'json', 'text', 'varchar'],
  boolean: ['bool'],
  integer: ['int2', 'int4', 'int8', 'numeric'],
  bigint: ['int8', 'numeric'],
  uuid: ['uuid'],
};
const COMPARABLE = [
  ['int2', 'int4', 'int8', 'numeric'],
  ['text', 'varchar', 'bpchar', 'citext'],
];

function fits(catalog: Catalog, wanted: string, base: string): boolean {
  if (wanted !== 'users.id') return FAMILIES[wanted]?.includes(base) ?? false;
  const key = catalog.tables.users?.columns.id?.base ?? 'int8';
  return key === base || COMPARABLE.some((family) => family.includes(key) && family.includes(base));
}

/** Columns that no row of the sync could fill. */
function requiredProblems(meetings: CatalogTable): Problem[] {
  return Object.entries(meetings.columns).flatMap(([column, { required, type }]) => {
    if (!required || column in HOST_COLUMNS.meetings) return [];
    const value =
      column === 'id' && type === 'uuid'
        ? 'gen_random_uuid()'
        : column === 'id' && type === 'text'
          ? 'gen_random_uuid()::text'
          : '…';
    return [
      {
        problem: `${meetings.name}.${column} (${type}) is NOT NULL and has no default: rows from Calendly have no value for it.`,
        fix: `Give it a default: alter table ${meetings.name} alter column ${quoteName(column)} set default ${value};${column === 'id' ? '' : ' or drop its NOT NULL.'}`,
      },
    ];
  });
}

/** Tables of our names that are not ours, or not the current user's. */
function ownProblems(catalog: Catalog, versions: Set<string>): Problem[] {
  return Object.entries(OWN_TABLES).flatMap(([name, { version, columns }]): Problem[] => {
    const table = catalog.tables[name];
    if (!table || !versions.has(version)) return [];
    if (table.mark?.startsWith(MARK))
      return table.owned ? [] : [ownerProblem(catalog, table, `go on with ${table.name}`)];
    if (name !== 'calendly_webhook_events') {
      return [
        {
          problem: `A table ${table.name} is there already, and calendly-sync did not make it.`,
          fix: 'Rename it, or keep the tables of calendly-sync apart with --schema calendly.',
        },
      ];
    }
    if (!table.owned) return [ownerProblem(catalog, table, `take over ${table.name}`)];
    return EVENT_COLUMNS.flatMap((column) => {
      const there = table.columns[column];
      const wanted = columns[column] ?? 'text';
      if (there && fits(catalog, wanted, there.base)) return [];
      return [
        {
          problem: `${table.name}.${column} ${there ? `is ${there.type}` : 'is missing'}; calendly-sync needs ${wanted}.`,
          fix: `Rename the table ${table.name}, or keep the tables of calendly-sync apart with --schema calendly.`,
        },
      ];
    });
  });
}

function lackingColumns(name: 'users' | 'meetings', table: CatalogTable, versions: Set<string>): string[] {
  return Object.entries(HOST_COLUMNS[name]).flatMap(([column, { version }]) =>
    versions.has(version) && !table.columns[column] ? [column] : [],
  );
}

function lackingIndexes({ indexes }: Catalog, versions: Set<string>): string[] {
  return Object.entries(INDEXES).flatMap(([name, { version, table }]) => {
    const state = indexes.get(name);
    return table === 'meetings' && versions.has(version) && !state?.valid && !state?.equal ? [name] : [];
  });
}

function needsTable({ tables }: Catalog, versions: Set<string>, names: string[]): boolean {
  return names.some((name) => versions.has(OWN_TABLES[name]?.version ?? '') && !tables[name]);
}

function ownerProblem({ user }: Catalog, { name, owner }: CatalogTable, what: string): Problem {
  return {
    problem: `${user} may not ${what}: ${name} belongs to ${owner} (SQLSTATE 42501).`,
    fix: `Connect as ${owner}, or let ${owner} or a superuser run: grant ${quoteName(owner)} to ${quoteName(user)};`,
  };
}

function referenceProblem({ user }: Catalog, { name, owner }: CatalogTable): Problem {
  return {
    problem: `${user} may not refer to ${name} with foreign keys: it belongs to ${owner} (SQLSTATE 42501).`,
    fix: `Let ${owner} or a superuser run: grant references on ${name} to ${quoteName(user)};`,
  };
}
