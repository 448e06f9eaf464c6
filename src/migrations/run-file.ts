/**
 * Runs a file inside a transaction, and turns what Postgres says about a failing statement into an error for the
 * operator.
 */
import { basename } from 'node:path';
import { errorCode } from '../database/errors.js';
import { CalendlySyncError } from '../errors.js';
import type { SqlFile } from './files.js';
import type { Locked } from './lock.js';

/** What Postgres says of a failed statement, as far as it may be shown: `detail` can hold values of rows. */
interface PostgresFault {
  message?: string;
  hint?: string;
  detail?: string;
  position?: string;
  where?: string;
}

const HINTS: Readonly<Record<string, string>> = {
  // Postgres's own hint for 2BP01 is DROP … CASCADE, which would drop what belongs to others.
  '2BP01': 'Drop or change what depends on it first. The file was rolled back.',
  '25006': 'The server is read-only (a standby, or a full disk): connect to the primary.',
  '3F000': 'No schema of the search_path exists: name one with --schema calendly.',
  '53100': 'The disk of the server is full. The file was rolled back.',
  '57014': 'The statement was canceled, by hand or by a statement timeout. The file was rolled back.',
};

/**
 * Runs `before`, the whole file, and `after`, as one request: the locks that its first statement takes are held until
 * the last one is done, and a round trip for each would make the application wait for the network.
 * @returns the rows of `after`
 * @throws CalendlySyncError `migration_failed` with file, line, column, SQLSTATE and hint
 */
export async function runFile<Row extends object>(
  { query }: Pick<Locked, 'query'>,
  file: SqlFile,
  { before = '', after }: { before?: string; after: string },
): Promise<Row[]> {
  try {
    return await query<Row>(`${before}${file.text}\n;${after}`);
  } catch (error) {
    const code = errorCode(error);
    // What no server said passes through unchanged.
    if (code === null || !/^[0-9A-Z]{5}$/.test(code)) throw error;
    const { message, hint, detail, position, where } = error as PostgresFault;
    const place = placeOf(file.text, Number(position) - [...before].length);
    const because = code === '2BP01' && detail ? `\n${detail}` : '';
    // Where the error is in a DO block, Postgres says which line of which function, and repeats the statement.
    const [inside = ''] = (position === undefined && /\nPL\/pgSQL function .*/.exec(`\n${where}`)) || [];
    throw new CalendlySyncError(
      'migration_failed',
      `${basename(file.path)}${place}: ${message} (SQLSTATE ${code})${because}${inside}`,
      {
        hint: HINTS[code] ?? hint ?? 'The file was rolled back; the ones before it stay applied.',
        cause: error,
      },
    );
  }
}

/** `:3:14` for a position, which Postgres counts in characters; empty if it says none. */
function placeOf(text: string, position: number): string {
  if (!(position > 0)) return '';
  const lines = [...text]
    .slice(0, position - 1)
    .join('')
    .split('\n');
  return `:${lines.length}:${[...(lines.at(-1) ?? '')].length + 1}`;
}
