/** Runs the statements of one file inside a transaction, and says where in the file a failing one stands. */
import { basename } from 'node:path';
import type { Sql } from '../database/connection.js';
import { errorCode } from '../database/errors.js';
import { CalendlySyncError } from '../errors.js';
import { canceling } from './cancel.js';
import { placeOf } from './error-location.js';
import type { SqlFile } from './files.js';
import { type Statement, splitStatements } from './statements.js';

/** What Postgres tells about a failed statement, as far as it may be shown: `detail` can hold values of rows. */
interface PostgresFault {
  message?: string;
  code?: string;
  hint?: string;
  detail?: string;
  position?: string;
  where?: string;
}

const IN_FAILED_TRANSACTION = '25P02';
const OTHERS_DEPEND_ON_IT = '2BP01';

/**
 * Runs all statements of a file. They are sent together, because the locks that the first one takes are held until the last
 * one is done: a round trip for each would make the application wait for the network.
 * @throws CalendlySyncError `migration_failed` with file, line, column, caret, SQLSTATE and hint
 */
export async function runFile(sql: Sql, file: SqlFile, signal?: AbortSignal): Promise<void> {
  const statements = splitStatements(file.text);
  const queries = statements.map(({ text }) => sql.unsafe(text));
  const outcomes = await canceling(signal, queries, Promise.allSettled(queries));
  outcomes.forEach((outcome, index) => {
    const statement = statements[index];
    // Those after the failing one fail for its sake.
    if (outcome.status === 'fulfilled' || !statement || errorCode(outcome.reason) === IN_FAILED_TRANSACTION)
      return;
    throw fileError(file, statement, outcome.reason);
  });
}

/** The error of a statement, with its place in the file. What no server said passes through unchanged. */
export function fileError(file: SqlFile, statement: Statement, thrown: unknown): unknown {
  const code = errorCode(thrown);
  if (code === null || !/^[0-9A-Z]{5}$/.test(code)) return thrown;
  const { message = code, hint, detail, position, where } = thrown as PostgresFault;
  const { line, column, excerpt } = placeOf(file.text, statement, { position, where });
  const because = code === OTHERS_DEPEND_ON_IT && detail ? `\n${detail}` : '';
  return new CalendlySyncError(
    'migration_failed',
    `${basename(file.path)}:${line}:${column}: ${message} (SQLSTATE ${code})${because}\n${indented(excerpt)}`,
    { hint: hint ?? ownHint(code), cause: thrown },
  );
}

function ownHint(code: string): string {
  if (code === OTHERS_DEPEND_ON_IT)
    return 'Drop or change what depends on it first. The file was rolled back.';
  if (code === '25006') return 'The server is read-only (a standby, or a full disk): connect to the primary.';
  if (code === '57014')
    return 'The statement was canceled, by hand or by a statement timeout. The file was rolled back.';
  return 'The file was rolled back; the ones before it stay applied.';
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
