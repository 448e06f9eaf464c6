/**
 * The error class of the library. Each error has a stable code (part of the `--json` output), a message for the
 * operator, a hint with the next step, and the cause. Knows neither exit codes nor how errors are printed.
 */

/** Every value of `error.code`. */
export const ERROR_CODES = [
  /** Any failure without a code of its own, including defects in the tool. */
  'failed',
  /** Unknown flags, invalid values, flags that cannot be combined. */
  'usage',
  /** A setting is missing or invalid: a URL, a token, an env file. */
  'settings',
  /** No `users` row matches the token and none can be created; `--user` names one. */
  'user_unknown',
  /** The database lacks tables or columns of ours; `migrate` creates them. */
  'schema_not_ready',
  /** The database does not answer, or the connection was lost. */
  'database_unreachable',
  /** The server rejects the connection: wrong password, no such database or role. */
  'database_refused',
  /** A statement failed: a missing privilege, a full disk, a read-only server. */
  'database_failed',
  /** A lock or lease is held by another run, or by a query of the application. */
  'locked',
  /** A migration cannot be applied to this database; nothing was changed. */
  'preflight',
  /** A migration file failed; its transaction was rolled back. */
  'migration_failed',
  /** The history and the files disagree: edited, missing, or out of order. */
  'migration_drift',
  /** Calendly cannot be reached, or still answers 5xx or 429 after all retries. */
  'calendly_unreachable',
  /** 401: the token is wrong, expired or revoked. */
  'calendly_unauthorized',
  /** The stored token of an account no longer works: connect it again. */
  'needs_reconnect',
  /** The account's last sync failed a short time ago; it is synced again later. */
  'backing_off',
  /** 403: a permission is missing. */
  'calendly_forbidden',
  /** 404 for a resource that should exist. */
  'calendly_not_found',
  /** Calendly rejected a request as malformed (400 and similar). */
  'calendly_rejected',
  /** HTML, an empty body or JSON of another shape; a redirect or a page link to another host. */
  'calendly_invalid_response',
  /** Some meetings could not be read or written; the others were, and the next run retries these. */
  'incomplete',
  /** Some accounts failed, the others are done. */
  'partly',
  /** A signal, or the caller's own abort, stopped the work cleanly. */
  'stopped',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The part of an error that users see, in `--json` and in the terminal. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  hint: string | null;
}

/** The only error class that this library throws on purpose. `hint` is the next thing to type or to check. */
export class CalendlySyncError extends Error {
  override readonly name = 'CalendlySyncError';
  readonly code: ErrorCode;
  readonly hint: string | null;
  /** What a command had done before it failed, in the form of its result. */
  result?: object;

  constructor(code: ErrorCode, message: string, options: { hint?: string | null; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
  }

  /** Code, message and hint as a plain object. */
  toReport(): ErrorReport {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** What a CalendlySyncError was caused by; any other value is returned unchanged. */
export function rootOf(error: unknown): unknown {
  return error instanceof CalendlySyncError ? error.cause : error;
}

/** Wraps any thrown value. A CalendlySyncError is returned unchanged; anything else becomes code `failed`. */
export function toCalendlySyncError(error: unknown): CalendlySyncError {
  if (error instanceof CalendlySyncError) return error;
  return new CalendlySyncError('failed', messageOf(error) || 'unknown error', { cause: error });
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
