/** Explains Postgres and socket errors to an operator. Pure; shows neither passwords nor row values. */
import { isIP } from 'node:net';
import postgres from 'postgres';
import { CalendlySyncError, type ErrorCode, rootOf } from '../errors.js';

/** Errors of sockets (Node) and of connections (postgres.js, SQLSTATE class 08). */
const SOCKET = /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|ENOENT)$/;
const CONNECTION = /^(CONNECT_TIMEOUT|CONNECTION_(CLOSED|ENDED|DESTROYED|TIMEOUT)|08...)$/;
const NO_ROUTE = /^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/;
/** A serialization failure, a deadlock, a server that shuts down, starts or fails over, no connection left. */
const TRANSIENT = /^(40001|40P01|57P0[123]|53300|25006)$/;
/** A session that was lost or is useless: closed, idle or busy for too long, shut down, on a read-only server. */
const SESSION = /^(CONNECTION_CLOSED|08...|25P0[34]|25006|57P0[123])$/;
/** Node's names for OpenSSL's verification errors do not share a prefix. */
const TLS = /^(ERR_(SSL|TLS|OSSL)_|EPROTO$|UNABLE_TO_|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH)|CERT|CRL/;

/** The driver's code of an error: an SQLSTATE, an errno name, or postgres.js's own; null when it has none. */
export function errorCode(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
}

/** The code of an error, or of the cause of a CalendlySyncError; `''` when there is none. */
export function sqlState(error: unknown): string {
  return errorCode(rootOf(error)) ?? '';
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
  return violatedTable(error) === 'calendly_events' || isIncomplete(error);
}

/** The text in the error of a statement that has not written all its rows. */
export const ROWS_MISSING = 'rows are missing';

/** True if a statement has not written all its rows, see `hasReturned`. */
function isIncomplete(error: unknown): boolean {
  return sqlState(error) === '22P02' && messageOf(error).includes(`"${ROWS_MISSING}"`);
}

function messageOf(error: unknown): string {
  const root = error instanceof CalendlySyncError ? error.cause : error;
  return root instanceof Error ? root.message : '';
}

/** The table whose unique key an insert met; null for any other error. */
export function violatedTable(error: unknown): string | null {
  if (sqlState(error) !== '23505') return null;
  return (rootOf(error) as { table_name?: string }).table_name ?? null;
}

/** The table whose row a foreign key check could not lock before the lock timeout; null for any other error. */
export function rowLockTable(error: unknown): string | null {
  if (sqlState(error) !== '55P03') return null;
  // The statement of the foreign key's check, which Postgres shows in no language but SQL.
  const { where = '' } = rootOf(error) as { where?: string };
  return /FROM ONLY (?:.*\.)?"?(\w+)"? x .* FOR KEY SHARE/.exec(where)?.[1] ?? null;
}

/** True if a lock was not granted in time, or a statement took too long. */
export function isWaitTimeout(error: unknown): boolean {
  return ['55P03', '57014'].includes(sqlState(error));
}

/** True if row-level security would have hidden rows, and the statement was refused for that. */
export function isHiddenRows(error: unknown): boolean {
  const root = error instanceof CalendlySyncError ? error.cause : error;
  // The function of the server, whose name no language changes.
  return sqlState(error) === '42501' && (root as { routine?: string }).routine === 'check_enable_rls';
}

/** True for a failure that passes: the server was away or restarting, or another transaction was in the way. */
export function isTransient(error: unknown): boolean {
  const root = rootOf(error);
  const code = sqlState(root);
  return isDriverError(root) && (isUnreachable(code) || TRANSIENT.test(code) || isLostRace(root));
}

/** True if the same work may succeed in a new session. Whether the old one committed it is unknown. */
export function isSessionLost(error: unknown): boolean {
  return SESSION.test(sqlState(error));
}

function isUnreachable(code: string): boolean {
  return SOCKET.test(code) || NO_ROUTE.test(code) || CONNECTION.test(code);
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
  const [kind, message, hint] = explain(error, code, label);
  return new CalendlySyncError(kind, message, { hint, cause: error });
}

type Explanation = [kind: ErrorCode, message: string, hint: string];
const refused = (message: string, hint: string): Explanation => ['database_refused', message, hint];
const unreachable = (message: string, hint: string): Explanation => ['database_unreachable', message, hint];

/** What happened, and what to change. */
function explain(error: Error, code: string, label: string): Explanation {
  const message = error.message || code;
  if (TLS.test(code)) {
    return refused(
      `The TLS connection to the database at ${label} failed: ${message} (${code}).`,
      'Check sslmode in DATABASE_URL. ' +
        'For a private CA, add sslrootcert=FILE to the URL, or set NODE_EXTRA_CA_CERTS=FILE.',
    );
  }
  if (message.includes('before secure TLS connection')) {
    return refused(
      `The database at ${label} does not accept TLS.`,
      'Remove sslmode from DATABASE_URL, or set sslmode=prefer or sslmode=disable.',
    );
  }
  const { address } = error as { address?: unknown };
  if (NO_ROUTE.test(code) && typeof address === 'string' && isIP(address) === 6) {
    return unreachable(
      `The database at ${label} has only an IPv6 address, and this machine has no IPv6 route (${code}).`,
      "Use the connection URL of the provider's pooler, which has an IPv4 address.",
    );
  }
  if (code === '28000' && /no encryption|SSL off/i.test(message)) {
    return refused(
      `The database at ${label} requires TLS: ${message} (28000).`,
      'Add sslmode=require to DATABASE_URL.',
    );
  }
  if (['28P01', '28000', '3D000'].includes(code)) {
    return refused(
      `The database at ${label} refused the connection: ${message} (${code}).`,
      'Check user, password and database name in DATABASE_URL.',
    );
  }
  if (isUnreachable(code) || code.startsWith('57P')) {
    return unreachable(
      `The database at ${label} does not answer (${code}).`,
      'Check that it runs and that DATABASE_URL names its host and port; then run the same command again.',
    );
  }
  if (code === '53300') {
    return unreachable(`The database at ${label} has no connection left (53300).`, 'Try again later.');
  }
  if (code === '25006') {
    return unreachable(
      `The database at ${label} is read-only: ${message} (25006).`,
      'A failover may be in progress: try again later. If that does not help, DATABASE_URL must name the primary.',
    );
  }
  if (isIncomplete(error)) {
    return [
      'database_failed',
      `The database at ${label} discarded rows of a statement.`,
      'A trigger or rule on meetings drops inserts or updates.',
    ];
  }
  if (code === '55P03') {
    return [
      'locked',
      `The database at ${label} did not grant a lock in time: ${message} (55P03).`,
      'Another transaction holds it. Try again later.',
    ];
  }
  if (isHiddenRows(error)) {
    return [
      'database_failed',
      `This role is subject to row-level security, so it would not see all rows: ${message} (42501).`,
      'Connect as the owner of the table, or let the owner run: grant OWNER to ROLE. ' +
        'Where row-level security is forced, the role needs BYPASSRLS.',
    ];
  }
  return [
    'database_failed',
    `The database at ${label} refused a statement: ${message} (${code}).`,
    'Check the privileges and triggers of the tables that it names; then run the same command again.',
  ];
}
