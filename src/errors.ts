/**
 * The few error kinds of the tool. Each carries a stable code (API for `--json` readers), what happened in the operator's
 * words, the next thing to type, and the exit code that the command line answers with. Knows nothing of where it is shown.
 */

/** What a process of this tool exits with. `75` is sysexits' EX_TEMPFAIL: cron and systemd may simply try again. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  checkFailed: 4,
  schemaNotReady: 5,
  tryAgain: 75,
} as const;

/** Every error code that `error.code` may hold, with the exit code it stands for. */
export const ERROR_CODES = {
  /** Something that no other code names; a defect in the tool shows itself as this. */
  failed: EXIT.failed,
  /** Unknown flags, values that cannot be read, flags that exclude each other. */
  usage: EXIT.usage,
  /** A setting is missing or cannot be read: a URL, a token, an env file. */
  settings: EXIT.usage,
  /** No `users` row fits the token and none can be made; `--user` names one. */
  user_unknown: EXIT.usage,
  /** The database lacks tables or columns of ours; `migrate` makes them. */
  schema_not_ready: EXIT.schemaNotReady,
  /** The database does not answer, refuses the connection, or went away. */
  database_unreachable: EXIT.tryAgain,
  /** The server refuses the connection: wrong password, no such database or role. */
  database_refused: EXIT.tryAgain,
  /** A statement failed: a missing right, a full disk, a read-only server. */
  database_failed: EXIT.failed,
  /** A lock or lease is held elsewhere: another run, or a query of the application. */
  locked: EXIT.tryAgain,
  /** A migration cannot be applied as the database is; nothing was changed. */
  preflight: EXIT.failed,
  /** A migration file failed; its transaction was rolled back. */
  migration_failed: EXIT.failed,
  /** The history and the files disagree: edited, missing, or out of order. */
  migration_drift: EXIT.failed,
  /** Calendly cannot be reached, or answers 5xx or 429 to the end of all retries. */
  calendly_unreachable: EXIT.tryAgain,
  /** 401: the token is wrong, expired or revoked. */
  calendly_unauthorized: EXIT.failed,
  /** 403: a right is missing. */
  calendly_forbidden: EXIT.failed,
  /** 404 where the resource had to be there. */
  calendly_not_found: EXIT.failed,
  /** Calendly refused a request as malformed (400 and kin). */
  calendly_rejected: EXIT.failed,
  /** HTML, nothing, or JSON of another shape where Calendly's JSON was due; a redirect or page link to another host. */
  calendly_invalid_response: EXIT.failed,
  /** Some meetings could not be read or written; the others were, and the next run goes on from there. */
  incomplete: EXIT.failed,
  /** Some accounts failed, the others are done. */
  partly: EXIT.partly,
  /** A signal, or the caller's own abort, ended the work cleanly. */
  stopped: EXIT.failed,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a user gets to see of an error, in `--json` and in the terminal. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  hint: string | null;
}

/** The one error class that leaves this library on purpose. `hint` is the next thing to type or look at. */
export class CalendlySyncError extends Error {
  override readonly name = 'CalendlySyncError';
  readonly code: ErrorCode;
  readonly hint: string | null;

  constructor(code: ErrorCode, message: string, options: { hint?: string | null; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
  }

  /** The exit code that stands for this error's code. */
  get exitCode(): number {
    return ERROR_CODES[this.code];
  }

  /** Code, message and hint as a plain object. */
  toReport(): ErrorReport {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** Any thrown value as a CalendlySyncError; what is already one passes through, the rest becomes `failed`. */
export function toCalendlySyncError(thrown: unknown): CalendlySyncError {
  if (thrown instanceof CalendlySyncError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CalendlySyncError('failed', message || 'unknown failure', { cause: thrown });
}
