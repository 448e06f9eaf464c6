/** Commands in hints carry the flags that this run was given, so that they can be pasted as they are. */
import { CalendlySyncError } from '../../errors.js';
import { PartialFailure } from '../../migrations/partial-failure.js';
import type { SharedOptions } from '../command.js';

/** Flags that say which database is meant. A URL may hold a password, so that the variable stands for it. */
function databaseFlags({ schema, envFile, databaseUrl }: SharedOptions): string {
  return [
    schema === undefined ? '' : ` --schema ${quoted(schema)}`,
    envFile === undefined ? '' : ` --env-file ${quoted(envFile)}`,
    databaseUrl === undefined ? '' : ' --database-url "$DATABASE_URL"',
  ].join('');
}

function quoted(value: string): string {
  return /^[\w./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** The text, with the flags behind each of our commands in it. */
export function withFlags(text: string, options: SharedOptions): string {
  const flags = databaseFlags(options);
  return text.replace(
    /calendly-sync (?:migrate|rollback)(?: --?[\w-]+(?: [\w./:-]*\w)?)*/g,
    (command) => command + (command.includes('--schema') ? flags.replace(/ --schema \S+/, '') : flags),
  );
}

/** Runs `work`; an error's hint gets the flags. */
export async function withFlagsInHints<T>(options: SharedOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CalendlySyncError) || error.hint === null) throw error;
    const next = new CalendlySyncError(error.code, error.message, {
      hint: withFlags(error.hint, options),
      cause: error.cause,
    });
    throw error instanceof PartialFailure ? new PartialFailure(next, error.result) : next;
  }
}
