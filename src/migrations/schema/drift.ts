/** Where the schema is not what the applied files make of it. Pure: judges what `readCatalog` found. */
import { type Catalog, type CatalogTable, MARK } from './catalog.js';
import { FUNCTION, HOST_COLUMNS, INDEXES, OWN_TABLES, VIEW } from './expected.js';

/** One difference between the schema and the files. */
export interface Drift {
  version: string;
  /** What it is about: `index calendly_meetings_key`, `table calendly_webhook_events`. */
  object: string;
  /** In the operator's words. */
  problem: string;
}

/** Everything that differs, for the versions that are applied. */
export function driftOf(catalog: Catalog, versions: ReadonlySet<string>): Drift[] {
  return [
    ...[...versions].flatMap((version) => missingOf(catalog, version) ?? []),
    ...Object.entries(OWN_TABLES).flatMap(([name, { version }]) =>
      versions.has(version) ? tableDrift(version, name, catalog.tables[name]) : [],
    ),
    ...(versions.has('001') ? hostDrift(catalog) : []),
    ...(versions.has(VIEW.version) ? viewDrift(catalog) : []),
    ...(versions.has(FUNCTION.version) ? functionDrift(catalog) : []),
  ].sort((a, b) => Number(a.version) - Number(b.version));
}

/** What one version makes and the database lacks; null for a version that makes nothing with a name. */
export function missingOf(catalog: Catalog, version: string): Drift[] | null {
  let known = false;
  const missing: Drift[] = [];
  const expect = (object: string, there: boolean, problem = 'is missing') => {
    known = true;
    if (!there) missing.push({ version, object, problem });
  };
  if (version === '001') {
    for (const name of ['users', 'meetings']) expect(`table ${name}`, name in catalog.tables);
  }
  for (const [name, own] of Object.entries(OWN_TABLES)) {
    if (own.version !== version) continue;
    const table = catalog.tables[name];
    expect(`table ${name}`, table !== undefined);
    if (!table) continue;
    for (const [column, type] of Object.entries(own.columns)) {
      const there = table.columns[column]?.type;
      expect(`column ${name}.${column}`, there !== undefined);
      const wanted = resolve(catalog, type);
      if (there !== undefined && table.mark?.startsWith(MARK) && wanted !== null) {
        expect(`column ${name}.${column}`, there === wanted, `is ${there}, the file makes ${wanted}`);
      }
    }
  }
  for (const host of ['users', 'meetings'] as const) {
    for (const [column, wanted] of Object.entries(HOST_COLUMNS[host])) {
      if (wanted.version === version)
        expect(`column ${host}.${column}`, column in (catalog.tables[host]?.columns ?? {}));
    }
  }
  for (const [name, wanted] of Object.entries(INDEXES)) {
    if (wanted.version !== version) continue;
    const state = catalog.indexes.get(name);
    const served = state?.equal !== null && state?.equal !== undefined;
    expect(`index ${name}`, served || (state?.name ?? null) !== null);
    if (state?.name && !served) expect(`index ${name}`, state.valid, 'is invalid: its build failed');
  }
  if (version === VIEW.version) expect(`view ${VIEW.name}`, catalog.view !== null);
  if (version === FUNCTION.version) expect(`function ${FUNCTION.name}()`, catalog.function !== null);
  return known ? missing : null;
}

function resolve({ tables }: Catalog, type: string): string | null {
  if (type === 'users.id') return tables.users?.columns.id?.type ?? null;
  if (type === 'meetings.id') return tables.meetings?.columns.id?.type ?? null;
  return type;
}

function tableDrift(version: string, name: string, table: CatalogTable | undefined): Drift[] {
  if (!table) return [];
  const drift = (problem: string): Drift => ({ version, object: `table ${name}`, problem });
  const found: Drift[] = [];
  if (!table.rowSecurity) found.push(drift('row-level security is off'));
  for (const policy of table.policies) {
    if (!policy.closed) found.push(drift(`policy ${policy.name} lets somebody in`));
  }
  if (!table.policies.some(({ name: policy }) => policy === 'calendly_sync_closed')) {
    found.push(drift('the policy calendly_sync_closed is missing'));
  }
  if (table.openTo.length > 0) found.push(drift(`is open to ${table.openTo.join(', ')}`));
  return found;
}

/** Tables that belong to others are theirs to open; ours must stay closed, and our constraints checked. */
function hostDrift(catalog: Catalog): Drift[] {
  const own = (['users', 'meetings'] as const).filter((name) => catalog.tables[name]?.mark?.startsWith(MARK));
  return [
    ...own.flatMap((name) => tableDrift('001', name, catalog.tables[name])),
    ...catalog.unvalidated.map(({ table, name }) => ({
      version: '007',
      object: `constraint ${name} on ${table}`,
      problem: 'has not been validated',
    })),
  ];
}

function viewDrift({ view, version: server }: Catalog): Drift[] {
  if (!view) return [];
  const drift = (problem: string): Drift => ({ version: VIEW.version, object: `view ${VIEW.name}`, problem });
  const found: Drift[] = [];
  if (recordedIn(view.mark) !== view.definition) found.push(drift('was replaced by another'));
  if (server >= 150_000 && !view.invoker)
    found.push(drift("runs with its owner's rights (security_invoker is off)"));
  if (view.openTo.length > 0) found.push(drift(`is open to ${view.openTo.join(', ')}`));
  return found;
}

function functionDrift({ function: found }: Catalog): Drift[] {
  if (!found) return [];
  const drift = (problem: string): Drift => ({
    version: FUNCTION.version,
    object: `function ${FUNCTION.name}()`,
    problem,
  });
  const drifts: Drift[] = [];
  if (recordedIn(found.mark) !== found.source || found.returns !== 'integer')
    drifts.push(drift('was replaced by another'));
  if (!found.fixedPath) drifts.push(drift('has no search_path of its own'));
  if (found.openTo.length > 0) drifts.push(drift(`may be run by ${found.openTo.join(', ')}`));
  return drifts;
}

/** The fingerprint that the file left in the comment. */
function recordedIn(mark: string | null): string | null {
  return /\(definition ([0-9a-f]{32})\)$/.exec(mark ?? '')?.[1] ?? null;
}
