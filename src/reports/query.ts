/** Runs one statement of the operator's, in a transaction that the server keeps read-only. */
import type postgres from 'postgres';
import type { Database } from '../database/connection.js';
import { requireReadable } from '../database/readers.js';

/** The extended protocol takes one statement: `commit; delete …` would leave the read-only transaction. */
const EXTENDED = { simple: false } as postgres.UnsafeQueryOptions;

export interface QueryResult {
  columns: string[];
  rows: unknown[][];
}

/**
 * Runs one statement.
 * @throws CalendlySyncError `database_failed` with Postgres's own words
 */
export async function runQuery(database: Database, statement: string): Promise<QueryResult> {
  return database.transaction(
    async (sql) => {
      await requireReadable(sql, ['calendly_events', 'meeting_invitees', 'meetings', 'users']);
      const result = await sql.unsafe(statement, [], EXTENDED).values();
      return { columns: (result.columns ?? []).map(({ name }) => name), rows: [...result] as unknown[][] };
    },
    { readOnly: true },
  );
}
