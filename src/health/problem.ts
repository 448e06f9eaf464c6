/** What a health problem is: the shape that `--json` readers rely on. Knows nothing of how problems are found. */

/** Something that an operator should act on. */
export interface Problem {
  /** Stable: an API for `--json` readers. */
  code: ProblemCode;
  message: string;
  /** The next command to run, or the next thing to look at. */
  hint: string;
}

export type ProblemCode =
  | 'not_connected'
  | 'no_account'
  | 'never_synced'
  | 'stale'
  | 'sync_failed'
  | 'sync_crashed'
  | 'initial_sync_incomplete'
  | 'full_listing_overdue'
  | 'meetings_waiting'
  | 'migrations_pending'
  | 'schema_drift'
  | 'meetings_open'
  | 'token_rejected'
  | 'webhook_disabled'
  | 'webhook_retrying'
  | 'webhook_key_differs'
  | 'webhook_signatures_rejected'
  | 'webhook_silent'
  | 'webhook_state_unknown'
  | 'webhooks_failed'
  | 'webhooks_waiting';

/** Quotes a value so that a shell reads it as one word. */
export function quoteForShell(value: string): string {
  return /^[\w@.+:/-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
