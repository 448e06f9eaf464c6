/**
 * The database that the settings name: a server by its URL, or the embedded one, made and migrated on first use.
 * The one place that knows both.
 */
import type { Config } from './config.js';
import { type Database, openServer } from './database/connection.js';
import { CalendlySyncError } from './errors.js';

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
  /** For a process that stays and takes much at once: more connections, and statements prepared where they are kept. */
  service?: boolean | undefined;
}

/** Connections of a service: receiving, syncing and questions about health, side by side. */
const SERVICE_CONNECTIONS = 6;

/**
 * Opens the database. A server is not connected to before the first transaction.
 * @throws CalendlySyncError `locked` when another process has the embedded database, `schema_not_ready` when there is none and
 * none is to be made
 */
export async function openDatabase(
  config: Pick<Config, 'databaseUrl' | 'schema' | 'home'>,
  options: OpenOptions = {},
): Promise<Database> {
  const { databaseUrl: url, schema } = config;
  if (url !== null) {
    return openServer(url, {
      schema,
      ...(options.service ? { prepare: true, max: SERVICE_CONNECTIONS } : {}),
    });
  }
  // Loaded only here, so that commands on a server read neither this nor WASM.
  const { embeddedExists, embeddedFolder, openEmbedded } = await import('./database/embedded/embedded.js');
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
