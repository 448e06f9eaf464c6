/** What the process exits with. Only the command line knows exit codes; the library knows error codes. */
import type { ErrorCode } from '../errors.js';

/** Exit codes. `75` is sysexits' EX_TEMPFAIL: cron and systemd may retry. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  checkFailed: 4,
  schemaNotReady: 5,
  tryAgain: 75,
} as const;

const EXIT_BY_CODE: Partial<Record<ErrorCode, number>> = {
  usage: EXIT.usage,
  settings: EXIT.usage,
  user_unknown: EXIT.usage,
  database_refused: EXIT.usage,
  partly: EXIT.partly,
  schema_not_ready: EXIT.schemaNotReady,
  database_unreachable: EXIT.tryAgain,
  locked: EXIT.tryAgain,
  calendly_unreachable: EXIT.tryAgain,
};

/** The exit code for an error code; 1 unless a more specific one is documented. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_BY_CODE[code] ?? EXIT.failed;
}
