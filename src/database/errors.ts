/** Explains Postgres and socket errors to an operator. Pure; shows neither passwords nor row values. */
import postgres from 'postgres';
import { CalendlySyncError, type ErrorCode } from '../errors.js';
import { explainConnectionError } from './connection-errors.js';

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EPIPE',
  'ENOENT',
  'CONNECT_TIMEOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
]);

/** The driver's code of an error: an SQLSTATE, an errno name, or postgres.js's own; null when it has none. */
export function errorCode(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

/** The code of an error, or of the cause of a CalendlySyncError; `''` when there is none. */
export function sqlState(error: unknown): string {
  return errorCode(error instanceof CalendlySyncError ? error.cause : error) ?? '';
}

/**
 * True for an error that a single row can cause: bad data, a constraint or trigger of the table's owner, a row too
 * large.
 */
export function isRefusedRow(error: unknown): boolean {
  return /^(22|23|44|54|P0)/.test(sqlState(error)) && !isLostRace(error);
}

/** True if another transaction has inserted the same meeting at the same moment: the next attempt finds it. */
export function isLostRace(error: unknown): boolean {
  return violatedTable(error) === 'calendly_events';
}

/** The table whose unique key an insert met; null for any other error. */
export function violatedTable(error: unknown): string | null {
  if (sqlState(error) !== '23505') return null;
  const root = error instanceof CalendlySyncError ? error.cause : error;
  return (root as { table_name?: string }).table_name ?? null;
}

/** True for a failure that passes: the server was away or restarting, or another transaction was in the way. */
export function isTransient(error: unknown): boolean {
  const root = error instanceof CalendlySyncError ? error.cause : error;
  const code = sqlState(root);
  return (
    isDriverError(root) &&
    (NETWORK.has(code) ||
      isLostRace(root) ||
      code.startsWith('08') ||
      ['40001', '40P01', '57P01', '57P02', '57P03', '53300'].includes(code))
  );
}

/**
 * True for what postgres.js rejects with. A code alone is no sign of it: files and other sockets have the same ones.
 */
function isDriverError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return (
    error instanceof postgres.PostgresError || 'query' in error || /^CONNECT/.test(errorCode(error) ?? '')
  );
}

/** Explains an error of the driver. Any other error is returned unchanged. */
export function toDatabaseError(error: unknown, label: string): unknown {
  const code = errorCode(error);
  if (code === null || !isDriverError(error)) return error;
  const message = error.message || code;
  const explained = (kind: ErrorCode, text: string, hint: string) =>
    new CalendlySyncError(kind, text, { hint, cause: error });
  const connecting = explainConnectionError(error, code, label);
  if (connecting) return explained(connecting.code, connecting.message, connecting.hint);
  if (NETWORK.has(code) || code.startsWith('08') || code.startsWith('57P')) {
    return explained(
      'database_unreachable',
      `The database at ${label} does not answer (${code}).`,
      'Check that it runs and that DATABASE_URL names its host and port; then run the same command again.',
    );
  }
  if (code === '53300') {
    return explained(
      'database_unreachable',
      `The database at ${label} has no connection left (53300).`,
      'Try again later.',
    );
  }
  return explained(
    'database_failed',
    `The database at ${label} refused a statement: ${message} (${code}).`,
    '',
  );
}
