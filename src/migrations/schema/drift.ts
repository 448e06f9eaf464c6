/** Where the schema differs from what the applied files create. Pure: judges what the catalog says. */
import type { HistoryRow } from '../history.js';
import type { Catalog } from './catalog.js';
import { EXPECTED } from './expected.js';

/** One difference between the schema and the files. */
export interface Drift {
  version: string;
  /** What it is about: `view calendly_sync_health`, `table calendly_webhook_events`. */
  object: string;
  /** In the operator's words. */
  problem: string;
}

/** Everything that differs, for the versions that are applied. */
export function driftOf(catalog: Catalog, history: readonly Pick<HistoryRow, 'version' | 'made'>[]): Drift[] {
  return history.flatMap(({ version, made }) => {
    const isOurs = (object: string) => object in made || object in (EXPECTED[version] ?? {});
    return [
      ...missingOf(catalog, version),
      ...catalog.open.filter(({ object }) => isOurs(object)).map((found) => ({ version, ...found })),
      ...replaced(catalog, version, made),
    ];
  });
}

/** What one version creates and the database lacks, or has with other columns. */
function missingOf(catalog: Catalog, version: string): Drift[] {
  const { tables, objects } = catalog;
  const missing: Drift[] = [];
  const add = (object: string, problem = 'is missing') => missing.push({ version, object, problem });
  if (version === '001') for (const name of ['users', 'meetings']) if (!tables[name]) add(`table ${name}`);
  for (const [key, columns] of Object.entries(EXPECTED[version] ?? {})) {
    const [, kind, name = ''] = /^(table|columns) (.*)$/.exec(key) ?? [];
    const table = tables[name];
    if (kind !== 'columns' && !(table ?? objects[key])) add(key);
    if (!table) continue;
    for (const [column, type] of columnsOf(columns)) {
      const found = table.columns[column];
      // `users.id` and `meetings.id` stand for the type of that column, whatever it is.
      const wanted = type.endsWith('.id') ? tables[type.slice(0, -3)]?.columns.id : type;
      if (found === undefined) add(`column ${name}.${column}`);
      // The types of a host's columns are its own; whether they fit, the trial insert says.
      else if (kind === 'table' && wanted !== undefined && found !== wanted)
        add(`column ${name}.${column}`, `is ${found}, the file creates ${wanted}`);
    }
  }
  return missing;
}

/** Name and type of each column in `id bigint, user_id users.id`. */
export function columnsOf(columns: string): [name: string, type: string][] {
  return columns
    .split(', ')
    .filter(Boolean)
    .map((column) => {
      const space = column.indexOf(' ');
      return [column.slice(0, space), column.slice(space + 1)];
    });
}

function replaced({ objects }: Catalog, version: string, made: HistoryRow['made']): Drift[] {
  return Object.entries(made).flatMap(([object, fingerprint]) => {
    if (!/^(view|function|trigger) /.test(object)) return [];
    const found = objects[object];
    // The trigger on a host's meetings is created only where it has something to do.
    if (!found && !(object in (EXPECTED[version] ?? {}))) return [{ version, object, problem: 'is missing' }];
    if (!found || found.definition === fingerprint) return [];
    return [{ version, object, problem: 'was replaced by another' }];
  });
}
