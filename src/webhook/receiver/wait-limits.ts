/**
 * How long a receiver's transaction waits for others. The settings end with the transaction, so that they pass a
 * pooler and disturb no other work. Knows no delivery.
 */
import type { Sql } from '../../database/connection.js';

export interface WaitLimits {
  /** For one lock, in ms. */
  lockMs: number;
  /** For one statement, in ms. */
  statementMs: number;
}

/** How long Postgres waits for our next statement, in ms: then it ends a session whose receiver has died. */
const IDLE_MS = 5_000;
/** For the whole transaction, in ms: more than its deadline here. */
const TRANSACTION_MS = 16_000;

/**
 * Sets the limits, and prefers indexes as `preferIndexes` does. Sent at once, so that call it before the statements
 * that it is for: one round trip for all.
 */
export function limitWaits(sql: Sql, { lockMs, statementMs }: WaitLimits): Promise<unknown> {
  const settings = {
    enable_seqscan: 'off',
    lock_timeout: `${lockMs}ms`,
    statement_timeout: `${statementMs}ms`,
    idle_in_transaction_session_timeout: `${IDLE_MS}ms`,
  };
  const calls = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', true)`);
  // From Postgres 17 on: ends what `idle_in_transaction_session_timeout` does not, a session that was cut in mid-message.
  calls.push(
    `case when current_setting('transaction_timeout', true) <> '' then set_config('transaction_timeout', '${TRANSACTION_MS}ms', true) end`,
  );
  // Without parameters: a parameter costs another round trip where statements are not prepared.
  return sql.unsafe(`select ${calls.join(', ')}`).execute();
}
