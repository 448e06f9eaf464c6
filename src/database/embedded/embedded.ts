/**
 * The embedded database: Postgres inside this process (PGlite), with its files in a folder, for one process at a
 * time. It is created in a folder next to it and renamed when complete, so that an incomplete one is never mistaken
 * for a database. Knows no table: the caller prepares a new database.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options, PostgresType } from 'postgres';
import { formatUtc } from '../../duration.js';
import { CalendlySyncError } from '../../errors.js';
import { clientDefaults, createDatabase, type Database } from '../connection.js';
import { createPool } from '../pool.js';
import { type Holder, lockFolder } from './folder-lock.js';
import { embeddedSocket } from './socket.js';
import { readTemplate, templateFile } from './template.js';

export interface EmbeddedOptions {
  /** Called once with a text when a database must be created first, which takes a few seconds. */
  onProgress?: ((text: string) => void) | undefined;
  /** Called with a new database before anybody else can see it. */
  prepare?: ((database: Database) => Promise<void>) | undefined;
  /** Schema for our tables; null or absent: public. */
  schema?: string | null | undefined;
  signal?: AbortSignal | undefined;
  /** Archive of an empty database; absent: the one in the package. */
  template?: string | undefined;
}

/** The major version of PGlite's Postgres; no other one can read the files. */
const POSTGRES_MAJOR = '18';
const UNFINISHED = 'database.new-';
const USE_A_SERVER = 'Or use a Postgres server: DATABASE_URL=postgres://…';

/** The folder of the embedded database of that home. */
export function embeddedFolder(home: string): string {
  return join(home, 'database');
}

/** Whether that home has an embedded database. */
export function embeddedExists(home: string): boolean {
  return existsSync(join(embeddedFolder(home), 'PG_VERSION'));
}

/**
 * Opens the embedded database of `home`, and creates it if there is none.
 * @throws CalendlySyncError `locked` when another process uses it, `settings` when the folder cannot be used
 */
export async function openEmbedded(home: string, options: EmbeddedOptions = {}): Promise<Database> {
  const folder = embeddedFolder(home);
  createHome(home);
  const lock = await lockFolder(join(home, 'database.lock'));
  if ('heldBy' in lock) throw lockedError(folder, lock.heldBy);
  try {
    if (!containsDatabase(folder)) await create(home, folder, options);
    return await open(folder, { schema: options.schema, onClosed: lock.release });
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function create(home: string, folder: string, options: EmbeddedOptions) {
  const { prepare, signal } = options;
  options.onProgress?.(`Creating the embedded database in ${folder} (a few seconds, once)`);
  // The lock is ours, so these were left by a process that was killed.
  for (const name of readdirSync(home)) {
    if (name.startsWith(UNFINISHED)) rmSync(join(home, name), { recursive: true, force: true });
  }
  const unfinished = join(home, `${UNFINISHED}${process.pid}`);
  try {
    const database = await openNew(unfinished, options);
    try {
      signal?.throwIfAborted();
      await prepare?.(database);
    } finally {
      await database.close();
    }
    signal?.throwIfAborted();
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (signal?.aborted)
      throw new CalendlySyncError('stopped', 'Stopped before the embedded database was created.');
    throw error;
  }
}

/** Opens a new database in that folder, unpacked from the archive if possible. */
async function openNew(folder: string, { template = templateFile, schema }: EmbeddedOptions) {
  mkdirSync(folder, { mode: 0o700 });
  const archive = readTemplate(template);
  if (archive !== null) {
    try {
      return await open(folder, { schema, archive });
    } catch {
      // Whatever was wrong with the archive: remove what it left, and initialize without it.
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { mode: 0o700 });
    }
  }
  return open(folder, { schema });
}

interface OpenOptions {
  schema?: string | null | undefined;
  archive?: Blob;
  onClosed?: () => void;
}

/** Opens PGlite on that folder, behind the same postgres.js as a server. */
async function open(folder: string, { schema = null, archive, onClosed }: OpenOptions): Promise<Database> {
  const [{ startEngine }, { default: postgres }] = await Promise.all([
    import('./engine.js'),
    import('postgres'),
  ]);
  const engine = await startEngine(folder, archive);
  // `socket` is an option of postgres.js that its documentation and types omit.
  const options: Options<Record<string, PostgresType>> & { socket: () => NodeJS.ReadWriteStream } = {
    socket: () => embeddedSocket(engine),
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    connect_timeout: 0,
    ...clientDefaults,
  };
  // This Postgres has one session, for which transactions wait.
  const pool = createPool((_, onclose) => postgres({ ...options, onclose }), { max: 1 });
  const database = createDatabase(pool, { kind: 'embedded', label: folder, schema });
  return {
    ...database,
    async transaction(work, options) {
      try {
        return await database.transaction(work, options);
      } catch (error) {
        // All that postgres.js saw is that its socket was closed.
        throw engine.crash() ?? error;
      }
    },
    async close() {
      try {
        await database.close();
        await engine.close();
      } finally {
        onClosed?.();
      }
    },
  };
}

function createHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    // A home inside a repository must not be committed.
    const ignore = join(home, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
  } catch (cause) {
    throw new CalendlySyncError('settings', `Cannot write to the folder ${home}: ${String(cause)}.`, {
      hint: `Set another with CALENDLY_SYNC_HOME=/path. ${USE_A_SERVER}`,
      cause,
    });
  }
}

/** Whether that folder contains a database. @throws CalendlySyncError `settings` if it contains something else */
function containsDatabase(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const file = join(folder, 'PG_VERSION');
  if (!existsSync(file)) {
    if (readdirSync(folder).length === 0) return false;
    throw new CalendlySyncError('settings', `${folder} contains something other than an embedded database.`, {
      hint: 'Move it away, or set another folder with CALENDLY_SYNC_HOME=/path.',
    });
  }
  const found = readFileSync(file, 'utf8').trim();
  if (found === POSTGRES_MAJOR) return true;
  const message = `The embedded database in ${folder} was created by Postgres ${found}, not ${POSTGRES_MAJOR}.`;
  throw new CalendlySyncError('settings', message, {
    hint: `Move ${folder} away; the next command creates a new one, and \`calendly-sync sync\` fills it again.`,
  });
}

function lockedError(folder: string, { process, since }: Holder): CalendlySyncError {
  const who = process === null ? 'another process' : `process ${process.pid} on ${process.host}`;
  const message = `The embedded database in ${folder} is in use by ${who}, since ${formatUtc(since)}.`;
  return new CalendlySyncError('locked', message, {
    hint: `Only one process can use it at a time: try again later. ${USE_A_SERVER}`,
  });
}
