/**
 * The database that the settings name: a server by its URL, or the embedded one, made and migrated on first use.
 * The one place that knows both.
 */
import type { Config } from '../config.js';
import { CalendlySyncError } from '../errors.js';
import { type Database, openServer } from './connection.js';

export interface OpenOptions {
  /** Called when something takes seconds. */
  onProgress?: ((text: string) => void) | undefined;
  /** Called with a line that the operator should know. */
  onNotice?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** False leaves a new embedded database without tables. */
  migrate?: boolean | undefined;
  /** False refuses to make an embedded database where there is none. */
  create?: boolean | undefined;
  /** Most connections to a server; 3 when absent. The embedded database has one. */
  connections?: number | undefined;
}

/**
 * Opens the database. A server is not connected to before the first transaction.
 * @throws CalendlySyncError `locked` when another process has the embedded database, `schema_not_ready` when there is none and
 * none is to be made
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'schema' | 'home'>,
  options: OpenOptions = {},
): Promise<Database> {
  const { connections } = options;
  if (config.databaseUrl !== null) {
    return openServer(config.databaseUrl, { schema: config.schema, ...(connections ? { max: connections } : {}) });
  }
  // Loaded only here, so that commands on a server read neither this nor WASM.
  const { embeddedExists, embeddedFolder, openEmbedded } = await import('./embedded.js');
  if (options.create === false && !embeddedExists(config.home)) {
    throw new CalendlySyncError(
      'schema_not_ready',
      `There is no database: DATABASE_URL is not set, and no embedded one is in ${embeddedFolder(config.home)}.`,
      { hint: 'Set DATABASE_URL, or make an embedded database: calendly-sync migrate' },
    );
  }
  const isNew = !embeddedExists(config.home);
  const database = await openEmbedded(config.home, {
    onProgress: options.onProgress,
    schema: config.schema,
    signal: options.signal,
    async prepare(fresh) {
      if (options.migrate === false) return;
      const { migrate } = await import('./migrations/migrate.js');
      await migrate(fresh, { signal: options.signal });
    },
  });
  options.onNotice?.(
    isNew
      ? `Made an embedded database in ${database.label}. For a Postgres of your own: DATABASE_URL=postgres://user:password@host/name`
      : `Embedded database: ${database.label}`,
  );
  return database;
}
