/** SQL of `account list`: all accounts with their leases and tokens, those with trouble first. */
import type { Sql } from '../connection.js';

/** One account as it is listed. Times are in UTC. */
export interface ListedAccount {
  user_id: string;
  email: string | null;
  calendly_uri: string;
  /** `user`, `organization` (lists for all its members) or `member` (listed by one). */
  kind: string;
  /** `active`, `needs_reconnect` or `disconnected`. */
  state: string;
  state_reason: string | null;
  /** `personal`, `oauth`, or null: no token is stored. */
  token: string | null;
  /** When the access token ends; null: it does not, or none is stored. */
  token_expires_at: Date | null;
  /** The last complete sync. */
  last_sync: Date | null;
  /** The next sync; null: the account is parked. */
  due_at: Date | null;
  every_s: number | null;
  /** Failed syncs in a row. */
  failures: number;
  error: string | null;
}

/**
 * All accounts, or those in one state: first those that must be connected again, then by failures, then by who has
 * waited longest.
 */
export async function listAccountStates(
  sql: Sql,
  { state, hasSyncState }: { state: string | null; hasSyncState: boolean },
): Promise<ListedAccount[]> {
  const lastSync = hasSyncState
    ? sql`(select last_calendly_sync from users u where u.id = a.user_id)`
    : sql`l.finished_at`;
  return sql<ListedAccount[]>`
    select a.user_id::text as user_id, a.email, a.calendly_uri, a.kind, a.state, a.state_reason,
      t.kind as token, t.expires_at as token_expires_at, ${lastSync} as last_sync,
      case when isfinite(l.due_at) then l.due_at end as due_at, l.every_s, coalesce(l.failures, 0) as failures,
      a.last_error as error
    from calendly_accounts a
    left join calendly_leases l on l.account_id = a.id
    left join calendly_tokens t on t.account_id = a.id
    where ${state}::text is null or a.state = ${state}
    order by a.state <> 'needs_reconnect', a.state = 'disconnected', coalesce(l.failures, 0) desc, l.due_at, a.id`;
}
