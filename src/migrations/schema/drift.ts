/** Where the schema differs from what the applied files create. Pure: judges what the catalog says. */
import { type Catalog, type CatalogTable, MARK } from './catalog.js';
import { EXPECTED } from './expected.js';

/** One difference between the schema and the files. */
export interface Drift {
  version: string;
  /** What it is about: `view calendly_sync_health`, `table calendly_webhook_events`. */
  object: string;
  /** In the operator's words. */
  problem: string;
}

/** What the history says of a version: the fingerprints of what it created. */
export interface Applied {
  version: string;
  made: Readonly<Record<string, string>>;
}

/** The policy of `grant-read`. */
const READER = 'calendly_sync_reader';
/** The policy of 022 for a role of the application that writes webhook events of its own. */
const APPLICATION = 'calendly_sync_application';

/** Everything that differs, for the versions that are applied. */
export function driftOf(catalog: Catalog, history: readonly Applied[]): Drift[] {
  return history.flatMap(({ version, made }) => [
    ...missingOf(catalog, version),
    ...Object.keys(EXPECTED[version] ?? {}).flatMap((key) => openDrift(catalog, version, key)),
    ...(version === '001' ? hostDrift(catalog, made) : []),
    ...replaced(catalog, version, made),
  ]);
}

/** True if all that the version creates exists: somebody ran the file by hand. */
export function isPresent(catalog: Catalog, version: string): boolean {
  const marked = `${MARK}${version}`;
  return (
    version in EXPECTED && missingOf(catalog, version).length === 0 && isMarked(catalog, version, marked)
  );
}

/** A host may have had columns of all these names before; only what bears our mark was run by hand. */
function isMarked(catalog: Catalog, version: string, marked: string): boolean {
  return Object.keys(EXPECTED[version] ?? {}).some((key) => catalog.objects[key]?.mark?.startsWith(marked));
}

/** What one version creates and the database lacks, or has with other columns. */
function missingOf(catalog: Catalog, version: string): Drift[] {
  const missing: Drift[] = [];
  const add = (object: string, problem = 'is missing') => missing.push({ version, object, problem });
  if (version === '001') {
    for (const name of ['users', 'meetings']) if (!catalog.tables[name]) add(`table ${name}`);
  }
  for (const [key, columns] of Object.entries(EXPECTED[version] ?? {})) {
    const [, kind, name = ''] = /^(table|columns) (.*)$/.exec(key) ?? [];
    if (!kind) {
      if (!catalog.objects[key]) add(key);
      continue;
    }
    const table = catalog.tables[name];
    if (!table) {
      if (kind === 'table') add(key);
      continue;
    }
    for (const [column, type] of columnsOf(columns)) {
      const found = table.columns[column];
      const wanted = typeOf(catalog, type);
      if (found === undefined) add(`column ${name}.${column}`);
      // The types of a host's columns are its own; whether they fit, the trial insert says.
      else if (kind === 'table' && wanted !== null && found !== wanted)
        add(`column ${name}.${column}`, `is ${found}, the file creates ${wanted}`);
    }
  }
  return missing;
}

/** Name and type of each column in `id bigint, user_id users.id`. */
export function columnsOf(columns: string): [string, string][] {
  return columns
    .split(', ')
    .filter(Boolean)
    .map((column) => {
      const space = column.indexOf(' ');
      return [column.slice(0, space), column.slice(space + 1)];
    });
}

/** `users.id` and `meetings.id` stand for the type of that column, whatever it is. */
function typeOf({ tables }: Catalog, type: string): string | null {
  const [, host] = /^(users|meetings)\.id$/.exec(type) ?? [];
  return host ? (tables[host]?.columns.id ?? null) : type;
}

function openDrift(catalog: Catalog, version: string, key: string): Drift[] {
  const drift = (problem: string): Drift => ({ version, object: key, problem });
  const table = catalog.tables[key.slice('table '.length)];
  if (key.startsWith('table ')) return table ? tableDrift(drift, table) : [];
  const openTo = catalog.openTo[key] ?? [];
  if (!catalog.objects[key] || !/^(view|function) /.test(key)) return [];
  return [
    ...(key.startsWith('view ') && catalog.version >= 150_000 && !catalog.invoker
      ? [drift("runs with its owner's rights (security_invoker is off)")]
      : []),
    ...(openTo.length > 0
      ? [drift(`${key.startsWith('view ') ? 'is open to' : 'may be run by'} ${openTo.join(', ')}`)]
      : []),
  ];
}

function tableDrift(drift: (problem: string) => Drift, table: CatalogTable): Drift[] {
  const found: Drift[] = [];
  if (!table.rowSecurity) found.push(drift('row-level security is off'));
  for (const policy of table.policies) {
    if (!policy.closed && policy.name !== APPLICATION && policy.name !== READER)
      found.push(drift(`policy ${policy.name} lets somebody in`));
  }
  if (!table.policies.some(({ name }) => name === 'calendly_sync_closed'))
    found.push(drift('the policy calendly_sync_closed is missing'));
  if (table.openTo.length > 0) found.push(drift(`is open to ${table.openTo.join(', ')}`));
  return found;
}

/** Tables of a host are its own to open; those that we created must stay closed. */
function hostDrift(catalog: Catalog, made: Applied['made']): Drift[] {
  return ['users', 'meetings'].flatMap((name) => {
    const table = catalog.tables[name];
    if (!table || !(`table ${name}` in made)) return [];
    return tableDrift((problem) => ({ version: '001', object: `table ${name}`, problem }), table);
  });
}

function replaced(catalog: Catalog, version: string, made: Applied['made']): Drift[] {
  return Object.entries(made).flatMap(([key, fingerprint]) => {
    if (!/^(view|function|trigger) /.test(key)) return [];
    const found = catalog.objects[key];
    // The trigger on a host's meetings is created only where it has something to do.
    if (!found && !(key in (EXPECTED[version] ?? {})))
      return [{ version, object: key, problem: 'is missing' }];
    if (!found || found.definition === fingerprint) return [];
    return [{ version, object: key, problem: 'was replaced by another' }];
  });
}
