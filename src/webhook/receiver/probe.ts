/** Asks whether the database is ready to store deliveries. */
import type { Database } from '../../database/connection.js';
import { requireSchema } from '../../database/schema.js';
import { toCalendlySyncError } from '../../errors.js';
import { withDeadline } from './deadline.js';

export type DatabaseState = 'ready' | 'not_migrated' | 'unreachable';

const TIMEOUT_MS = 3_000;
/** How long an answer is given again: anybody may ask, and each question costs a transaction. */
const CACHE_MS = 1_000;

/** Creates the probe. Calls share an answer until a second after it was given. */
export function createProbe(database: Database): () => Promise<DatabaseState> {
  let last: { state: Promise<DatabaseState>; validUntil: number } | null = null;

  async function ask(): Promise<DatabaseState> {
    try {
      const { hasSyncState } = await database.transaction(requireSchema, { readOnly: true });
      return hasSyncState ? 'ready' : 'not_migrated';
    } catch (error) {
      return toCalendlySyncError(error).code === 'schema_not_ready' ? 'not_migrated' : 'unreachable';
    }
  }

  return () => {
    if (last !== null && performance.now() < last.validUntil) return last.state;
    // A transaction that is late is forgotten: its answer would be old.
    const probe = {
      state: withDeadline<DatabaseState>(ask(), TIMEOUT_MS, () => 'unreachable'),
      validUntil: Infinity,
    };
    void probe.state.then(() => {
      probe.validUntil = performance.now() + CACHE_MS;
    });
    last = probe;
    return probe.state;
  };
}
