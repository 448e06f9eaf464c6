/**
 * The embedded database: Postgres inside this process (PGlite), its files in a folder, one process at a time. Made in a
 * folder beside it and moved in place when whole, so that a half-made one is never taken for a database.
 * Knows no table; what a new database needs comes in as `prepare`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from 'postgres';
import { CalendlySyncError } from '../../errors.js';
import type { ArrayType } from '../array-types.js';
import { clientDefaults, createDatabase, type Database } from '../connection.js';
import { createPool } from '../pool.js';
import { type Holder, lockFolder } from './folder-lock.js';
import { embeddedSocket } from './socket.js';
import { readTemplate, templateFile } from './template.js';

export interface EmbeddedOptions {
  /** Called once with a text when a database must be made first, which takes some seconds. */
  onProgress?: ((text: string) => void) | undefined;
  /** Called with each new database before it is moved in place. */
  prepare?: ((database: Database) => Promise<void>) | undefined;
  /** Schema for our tables; null or absent: public. */
  schema?: string | null | undefined;
  signal?: AbortSignal | undefined;
  /** Archive of an empty database; the package's own when absent. */
  template?: string | undefined;
}

/** The Postgres that PGlite is; another major version could not read the files. */
const POSTGRES_MAJOR = '18';
const UNFINISHED = 'database.new-';

/** Where the embedded database of that home is. */
export function embeddedFolder(home: string): string {
  return join(home, 'database');
}

/** Whether there is an embedded database in that home. */
export function embeddedExists(home: string): boolean {
  return existsSync(join(embeddedFolder(home), 'PG_VERSION'));
}

/**
 * Opens the embedded database of `home`; makes it when it is not there.
 * @throws CalendlySyncError `locked` when another process has it, `settings` when the folder cannot be used
 */
export async function openEmbedded(home: string, options: EmbeddedOptions = {}): Promise<Database> {
  const folder = embeddedFolder(home);
  makeHome(home);
  const lock = await lockFolder(join(home, 'database.lock'));
  if ('heldBy' in lock) throw lockedError(folder, lock.heldBy);
  try {
    const found = databaseVersion(folder);
    if (found === null) await create(home, folder, options);
    else if (found !== POSTGRES_MAJOR) throw foreignVersion(folder, found);
    const database = await open(folder, options.schema);
    return {
      ...database,
      async close() {
        try {
          await database.close();
        } finally {
          lock.release();
        }
      },
    };
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

async function create(home: string, folder: string, options: EmbeddedOptions) {
  const { prepare, signal } = options;
  options.onProgress?.(`Making the embedded database in ${folder} (takes some seconds, once)`);
  // The lock is ours: what lies there was left by a process that was killed.
  for (const name of readdirSync(home)) {
    if (name.startsWith(UNFINISHED)) rmSync(join(home, name), { recursive: true, force: true });
  }
  const unfinished = join(home, `${UNFINISHED}${process.pid}`);
  mkdirSync(unfinished, { mode: 0o700 });
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
  } catch (thrown) {
    rmSync(unfinished, { recursive: true, force: true });
    if (signal?.aborted)
      throw new CalendlySyncError('stopped', 'Stopped before the embedded database was made.');
    throw thrown;
  }
}

/** A new database in that folder, out of the package's archive if that is any good. */
async function openNew(folder: string, { template = templateFile, schema }: EmbeddedOptions) {
  const archive = readTemplate(template);
  if (archive !== null) {
    try {
      return await open(folder, schema, archive);
    } catch {
      // Whatever was wrong with it: what it left is in the way, and the long way needs no archive.
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { mode: 0o700 });
    }
  }
  return open(folder, schema);
}

/** PGlite on that folder, behind the same postgres.js as a server. */
async function open(
  folder: string,
  schema: string | null = null,
  template: Blob | null = null,
): Promise<Database> {
  const [{ startEngine }, { default: postgres }] = await Promise.all([
    import('./engine.js'),
    import('postgres'),
  ]);
  const engine = await startEngine(folder, template);
  // `socket` is an option of postgres.js that its documentation and types leave out.
  const options: Options<Record<string, ArrayType>> & { socket: () => NodeJS.ReadWriteStream } = {
    socket: () => embeddedSocket(engine),
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    connect_timeout: 0,
    ...clientDefaults,
  };
  // Postgres in one process has one session, for which transactions wait.
  const pool = createPool(1, (onclose) => postgres({ ...options, onclose }));
  const database = createDatabase(pool, { kind: 'embedded', label: folder, schema });
  return {
    ...database,
    async transaction(work, options) {
      try {
        return await database.transaction(work, options);
      } catch (thrown) {
        // postgres.js only saw its socket close.
        throw engine.crash() ?? thrown;
      }
    },
    async close() {
      await database.close();
      await engine.close();
    },
  };
}

function makeHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    // A home inside a checkout must not end up in somebody's repository.
    const ignore = join(home, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
  } catch (cause) {
    throw new CalendlySyncError('settings', `The folder ${home} cannot be written: ${String(cause)}.`, {
      hint: 'Name another with CALENDLY_SYNC_HOME=/path, or use a Postgres server with DATABASE_URL=postgres://…',
      cause,
    });
  }
}

/** The Postgres version of the database there; null when there is none. */
function databaseVersion(folder: string): string | null {
  if (!existsSync(folder)) return null;
  const file = join(folder, 'PG_VERSION');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  if (readdirSync(folder).length === 0) return null;
  throw new CalendlySyncError('settings', `${folder} holds something else than an embedded database.`, {
    hint: 'Move it away, or name another folder with CALENDLY_SYNC_HOME=/path.',
  });
}

function foreignVersion(folder: string, found: string): CalendlySyncError {
  return new CalendlySyncError(
    'settings',
    `The embedded database in ${folder} was made by Postgres ${found}; this version of calendly-sync holds Postgres ${POSTGRES_MAJOR}.`,
    {
      hint: `Move ${folder} away; the next command makes a new one, and \`calendly-sync sync\` fills it again.`,
    },
  );
}

function lockedError(folder: string, { process, since }: Holder): CalendlySyncError {
  const who = process === null ? 'another process' : `process ${process.pid} on ${process.host}`;
  const when = `${since.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  return new CalendlySyncError(
    'locked',
    `The embedded database in ${folder} is in use by ${who}, since ${when}.`,
    {
      hint: 'It serves one process at a time: try again when that one has ended, or use a Postgres server with DATABASE_URL=postgres://…',
    },
  );
}
