/**
 * Starts and stops PGlite on a folder, and reports why it failed to start or crashed. Patches PGlite's internals
 * where PGlite does not notice a crash, so package.json pins one exact version. Knows no SQL.
 */
import { PGlite } from '@electric-sql/pglite';
import { CalendlySyncError } from '../../errors.js';
import type { ProtocolEngine } from './socket.js';

/** A running Postgres in this process. */
export interface EmbeddedEngine extends ProtocolEngine {
  /** Why it crashed; null while it has not. */
  crash(): CalendlySyncError | null;
  /** Shuts down, with everything written to disk unless it has crashed. */
  close(): Promise<void>;
}

/** The exit status with which Postgres leaves its main loop after an ordinary error. */
const ORDINARY_ERROR = 100;

/**
 * Starts Postgres on that folder, and creates a database if it is empty.
 * @param template archive to unpack for a new database
 * @throws CalendlySyncError `database_failed` with the message of Postgres
 */
export async function startEngine(folder: string, template?: Blob): Promise<EmbeddedEngine> {
  let lastError: string | null = null;
  const onStderr = (line: string): boolean => {
    lastError = /\b(PANIC|FATAL|ERROR): .*/.exec(line)?.[0] ?? lastError;
    return false;
  };
  const failure = (what: string, cause: unknown) =>
    new CalendlySyncError(
      'database_failed',
      `The embedded database in ${folder} ${what}: ${lastError ?? cause}`,
      {
        hint:
          'Check that the disk is not full and that the folder belongs to you. If the error persists, ' +
          'move the folder away: the next sync creates and fills a new one.',
        cause,
      },
    );
  const options = { dataDir: folder, onStderr, ...(template ? { loadDataDir: template } : {}) };
  const pglite = await PGlite.create(options).catch((cause) => {
    throw failure('does not start', cause);
  });
  let crash: CalendlySyncError | null = null;
  let ended = false;
  onCrash(pglite, (cause) => {
    crash ??= failure('crashed', cause);
    return crash;
  });
  return {
    async answer(message) {
      if (crash) throw crash;
      lastError = null;
      const parts: Buffer[] = [];
      // Copies, because the bytes are a view into the engine's memory.
      const onRawData = (bytes: Uint8Array) => void parts.push(Buffer.from(bytes));
      await pglite.execProtocolRawStream(message, { onRawData });
      return Buffer.concat(parts);
    },
    crash: () => crash,
    isInTransaction: () => crash === null && !ended && pglite.isInTransaction(),
    async close() {
      if (crash !== null || ended) return;
      ended = true;
      await pglite.close();
    },
  };
}

/**
 * Calls `failure` when Postgres crashes (a PANIC when the disk is full, a trap in its code). PGlite 0.5 catches
 * everything that leaves the main loop and enters the loop again; after a crash that never ends. So from then on the
 * step in between throws.
 */
function onCrash(pglite: PGlite, failure: (cause: unknown) => Error): void {
  const internals = pglite.Module as unknown as {
    _PostgresMainLoopOnce(): void;
    stackRestore(to: number): void;
  };
  const mainLoopOnce = internals._PostgresMainLoopOnce;
  internals._PostgresMainLoopOnce = () => {
    try {
      mainLoopOnce();
    } catch (error) {
      if ((error as { status?: unknown } | null)?.status !== ORDINARY_ERROR) {
        const crash = failure(error);
        internals.stackRestore = () => {
          throw crash;
        };
      }
      throw error;
    }
  };
}
