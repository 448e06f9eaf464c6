/** Commands in hints carry the flags that this run was given, so that they can be pasted as they are. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { CalendlySyncError } from '../../errors.js';
import { commandAction, type Handler, type Session } from '../command.js';

/** The flags that say which database is meant. */
export interface DatabaseFlags {
  schema?: string | undefined;
  envFile?: string | undefined;
  databaseUrl?: string | undefined;
}

/** Flags that say which database is meant. A URL may hold a password, so that the variable stands for it. */
function databaseFlags({ schema, envFile, databaseUrl }: DatabaseFlags): string {
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
export function withFlags(text: string, options: DatabaseFlags): string {
  const flags = databaseFlags(options);
  return text.replace(
    /calendly-sync (?:migrate|rollback)(?: --?[\w-]+(?: [\w./:-]*\w)?)*/g,
    (command) => command + (command.includes('--schema') ? flags.replace(/ --schema \S+/, '') : flags),
  );
}

/** The action of a command, whose errors' hints get the flags. */
export function withFlagsInHints<Flags extends object>(
  session: Session,
  handler: Handler<Flags & DatabaseFlags>,
) {
  return (given: Flags, command: CommandUnknownOpts): Promise<void> => {
    const flags: Flags & DatabaseFlags = { ...command.optsWithGlobals(), ...given };
    const handle: Handler<object> = (context) =>
      handler(context, flags).catch((error: unknown) => {
        if (!(error instanceof CalendlySyncError) || error.hint === null) throw error;
        const hint = withFlags(error.hint, flags);
        throw new CalendlySyncError(error.code, error.message, { hint, cause: error.cause });
      });
    return commandAction(session, async () => handle)(flags, command);
  };
}
