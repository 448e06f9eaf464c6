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

/** What the codes mean, for people. */
export const EXIT_MEANINGS: readonly (readonly [codes: string, meaning: string])[] = [
  ['0', 'done, or nothing to do'],
  ['1', 'failed'],
  ['2', 'invalid usage or settings, a port in use, a database that refuses the login or TLS'],
  ['3', 'some accounts failed, the others are done'],
  ['4', 'the check failed: health or doctor has problems, migrate --status found something to do'],
  ['5', 'the schema is not ready: run calendly-sync migrate'],
  ['75', 'try again later: database or Calendly unreachable, or a lock held by another process'],
  ['129, 130, 143', 'stopped cleanly by SIGHUP, SIGINT or SIGTERM; webhook serve and sandbox exit with 0'],
];

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
