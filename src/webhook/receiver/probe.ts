/** Asks whether the database is ready to store deliveries: it answers, accepts writes, and has the tables. */
import type { Database, Sql } from '../../database/connection.js';
import { sqlState } from '../../database/errors.js';
import { requireSchema, type SchemaState } from '../../database/schema.js';
import { toCalendlySyncError } from '../../errors.js';
import { withDeadline } from './deadline.js';

export type DatabaseState = 'ready' | 'not_migrated' | 'read_only' | 'unreachable';

const TIMEOUT_MS = 3_000;
/** How long an answer is given again: anybody may ask, and each question costs a transaction. */
const CACHE_MS = 1_000;

/** The error of a server that refuses writes. The pool replaces its connections after it, as after a refused write. */
const READ_ONLY = '25006';

async function inspect(sql: Sql): Promise<SchemaState> {
  const [[row], state] = await Promise.all([
    sql<{ readOnly: boolean }[]>`
      select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "readOnly"`,
    requireSchema(sql),
  ]);
  if (row?.readOnly) throw Object.assign(new Error('the server is read-only'), { code: READ_ONLY });
  return state;
}

/** Creates the probe. Calls share an answer until a second after it was given. */
export function createProbe(database: Database): () => Promise<DatabaseState> {
  let last: { state: Promise<DatabaseState>; validUntil: number } | null = null;

  async function ask(): Promise<DatabaseState> {
    try {
      const { hasSyncState } = await database.transaction(inspect, { deadlineMs: TIMEOUT_MS });
      return hasSyncState ? 'ready' : 'not_migrated';
    } catch (error) {
      if (sqlState(error) === READ_ONLY) return 'read_only';
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
