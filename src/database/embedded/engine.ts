/**
 * PGlite on a folder: opened with words when it cannot be, closed, and stopped when it crashed. Knows PGlite's inside
 * where PGlite leaves a crash unnoticed, which is why package.json names one exact version. Knows no SQL.
 */
import { PGlite } from '@electric-sql/pglite';
import { CalendlySyncError } from '../../errors.js';
import type { ProtocolEngine } from './socket.js';

/** A running Postgres in this process. */
export interface EmbeddedEngine extends ProtocolEngine {
  /** What ended it before its time; null while it runs. */
  crash(): CalendlySyncError | null;
  /** Writes everything out and ends; after a crash it only ends. */
  close(): Promise<void>;
}

/** The status with which PGlite's Postgres leaves its main loop for an ordinary error. */
const ORDINARY_ERROR = 100;
const SERIOUS = /\b(PANIC|FATAL|ERROR): /;

/**
 * Starts Postgres on that folder; makes a new database when it is empty.
 * @param template a new database comes out of this archive
 * @throws CalendlySyncError `database_failed` with what Postgres said
 */
export async function startEngine(folder: string, template: Blob | null = null): Promise<EmbeddedEngine> {
  const log: string[] = [];
  const onStderr = (line: string): boolean => {
    log.push(line);
    if (log.length > 20) log.shift();
    return false;
  };
  let pglite: PGlite;
  try {
    pglite = await PGlite.create({
      dataDir: folder,
      onStderr,
      ...(template ? { loadDataDir: template } : {}),
    });
  } catch (cause) {
    throw engineFailure(`The embedded database in ${folder} does not start`, log, cause);
  }
  let crash: CalendlySyncError | null = null;
  let ended = false;
  onCrash(pglite, (cause) => {
    crash ??= engineFailure(`The embedded database in ${folder} crashed`, log, cause);
    return crash;
  });
  return {
    async execProtocolRawStream(message, options) {
      if (crash) throw crash;
      await pglite.execProtocolRawStream(message, options);
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
 * Sees a crash of Postgres (a PANIC when the disk is full, a trap in its code). PGlite 0.5 catches whatever leaves the main
 * loop and enters it again, which after a crash goes on without end; so from then on the step in between throws.
 */
function onCrash(pglite: PGlite, failure: (cause: unknown) => Error): void {
  const inside = pglite.Module as unknown as {
    _PostgresMainLoopOnce(): void;
    stackRestore(to: number): void;
  };
  const mainLoopOnce = inside._PostgresMainLoopOnce;
  inside._PostgresMainLoopOnce = () => {
    try {
      mainLoopOnce();
    } catch (thrown) {
      if ((thrown as { status?: unknown } | null)?.status !== ORDINARY_ERROR) {
        const error = failure(thrown);
        inside.stackRestore = () => {
          throw error;
        };
      }
      throw thrown;
    }
  };
}

function engineFailure(what: string, log: string[], cause: unknown): CalendlySyncError {
  const said = log.findLast((line) => SERIOUS.test(line))?.replace(/^.*?(?=PANIC|FATAL|ERROR)/, '');
  return new CalendlySyncError('database_failed', `${what}: ${said ?? String(cause)}`, {
    hint: 'Check that the disk has room and that the folder belongs to you. Should it stay so, move the folder away: the next sync makes and fills a new one.',
    cause,
  });
}
