/** What a sync must know before it starts. Of a complete schema that is one statement. */
import { findKnownAccount, fingerprintOf } from '../accounts/resolve.js';
import type { Database } from '../database/connection.js';
import { sqlState } from '../database/errors.js';
import { requireSchema, type SchemaState, schemaState } from '../database/schema.js';
import { ACCOUNT, type Account } from '../database/tables/accounts.js';
import { hasPendingEvents, pendingIds } from '../database/tables/webhook-events.js';

export interface Start extends SchemaState {
  /** The account that the token was last confirmed to belong to. */
  known: Account | null;
  /** Stored deliveries are pending. */
  hasPending: boolean;
}

/** @throws CalendlySyncError `schema_not_ready`, or `user_unknown` if `named` are other users */
export async function readStart(database: Database, token: string, named: string[]): Promise<Start> {
  return (named.length === 0 && (await readAtOnce(database, token))) || readStepwise(database, token, named);
}

/** Null if anything is missing: what, takes several statements. */
async function readAtOnce(database: Database, token: string): Promise<Start | null> {
  try {
    const [row] = await database.query<{ missing: string[]; hasPending: boolean } & SchemaState & Account>(
      (sql) => sql`
        select ${schemaState(sql)}, exists (${pendingIds(sql, 'all')}) as "hasPending", a.*
        from (values (1)) as one (row)
        left join (
          select ${sql.unsafe(ACCOUNT)} from calendly_accounts a where token_fingerprint = ${fingerprintOf(token)}
        ) as a on true`,
    );
    if (!row || row.missing.length > 0 || !row.hasSyncState) return null;
    const { missing: _, hasSyncState, hasPending, ...account } = row;
    return { hasSyncState, hasPending, known: account.id === null ? null : account };
  } catch (error) {
    // A table or column does not exist.
    if (['42P01', '42703'].includes(sqlState(error))) return null;
    throw error;
  }
}

function readStepwise(database: Database, token: string, named: string[]): Promise<Start> {
  return database.transaction(
    async (sql) => {
      const { hasSyncState } = await requireSchema(sql);
      const known = await findKnownAccount(sql, token, named);
      return { hasSyncState, known, hasPending: hasSyncState && (await hasPendingEvents(sql)) };
    },
    { readOnly: true },
  );
}
