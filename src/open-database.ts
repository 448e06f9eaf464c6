/**
 * The database that the settings name: a server by its URL, or the embedded one, created and migrated on first use.
 * The one place that knows both.
 */
import type { Config } from './config.js';
import { type Database, openServer } from './database/connection.js';
import { connectionOptions } from './database/connection-options.js';
import { CalendlySyncError } from './errors.js';
import { EMBEDDED } from './setting-parsers.js';

export interface OpenOptions {
  /** Called when something takes several seconds. */
  onProgress?: ((text: string) => void) | undefined;
  /** Called with a line for the operator. */
  onNotice?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** False leaves a new embedded database without tables. */
  migrate?: boolean | undefined;
  /**
   * Whether an embedded database may be created. Default: only if DATABASE_URL is `embedded`, because a missing
   * DATABASE_URL must not silently become another database.
   */
  create?: boolean | undefined;
  /** For a long-running process with many parallel requests: more connections, and prepared statements if possible. */
  service?: boolean | undefined;
}

/** Where the database of these settings is, for people: host, port and name, or the folder. Never a password. */
export async function databaseLabel({ databaseUrl, home }: Pick<Config, 'databaseUrl' | 'home'>) {
  if (isServer(databaseUrl)) return connectionOptions(databaseUrl).label;
  const { embeddedFolder } = await import('./database/embedded/embedded.js');
  return embeddedFolder(home);
}

/** False if opening it would create the embedded database. A server may still have no tables. */
export async function databaseExists({ databaseUrl, home }: Pick<Config, 'databaseUrl' | 'home'>) {
  if (isServer(databaseUrl)) return true;
  const { embeddedExists } = await import('./database/embedded/embedded.js');
  return embeddedExists(home);
}

function isServer(url: string | null): url is string {
  return url !== null && url !== EMBEDDED;
}

/**
 * A service receives, syncs and reports its health at the same time. It outlives failovers, so its connections must not
 * stay on a server that is no longer the primary.
 */
const SERVICE = { prepare: true, max: 4, maxAgeMs: 20 * 60_000 };

/**
 * Opens the database. A server is not connected to before the first transaction.
 * @throws CalendlySyncError `locked` if another process uses the embedded database, `settings` if DATABASE_URL is not
 * set and there is none, `schema_not_ready` if there is none and `create` is false
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'schema' | 'home'>,
  options: OpenOptions = {},
): Promise<Database> {
  const { databaseUrl: url, schema } = config;
  if (isServer(url)) return openServer(url, { schema, ...(options.service ? SERVICE : {}) });
  // Loaded only here, so that commands on a server load neither this nor WASM.
  const { embeddedExists, embeddedFolder, openEmbedded } = await import('./database/embedded/embedded.js');
  const isNew = !embeddedExists(config.home);
  if (isNew && !(options.create ?? url === EMBEDDED)) throw noDatabase(url, embeddedFolder(config.home));
  const database = await openEmbedded(config.home, {
    ...options,
    schema,
    async prepare(fresh) {
      if (options.migrate === false) return;
      const { migrate } = await import('./migrations/migrate.js');
      await migrate(fresh, { signal: options.signal });
    },
  });
  options.onNotice?.(
    isNew
      ? `Created an embedded database in ${database.label}. To use your own Postgres, set DATABASE_URL.`
      : `Embedded database: ${database.label}`,
  );
  return database;
}

function noDatabase(url: string | null, folder: string): CalendlySyncError {
  if (url === EMBEDDED) {
    return new CalendlySyncError('schema_not_ready', `There is no embedded database in ${folder} yet.`, {
      hint: 'Create it: calendly-sync migrate',
    });
  }
  return new CalendlySyncError(
    'settings',
    `DATABASE_URL is not set, and there is no embedded database in ${folder}.`,
    { hint: 'Set DATABASE_URL=postgres://…, or DATABASE_URL=embedded to create an embedded database there.' },
  );
}
