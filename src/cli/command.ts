/**
 * What all commands share: the common flags, and the frame that turns a handler into a commander action (settings read,
 * secrets hidden, signals heard, errors shown, one JSON document, the exit code).
 */
import type { Command, OptionValues } from '@commander-js/extra-typings';
import { type Config, defaultConfig, loadConfig, secretsOf } from '../config.js';
import { toCalendlySyncError } from '../errors.js';
import { exitCodeOf } from './exit-codes.js';
import { createOutput, type Output } from './terminal/output.js';
import type { Terminal } from './terminal/terminal.js';

/** Flags of every command. */
export interface SharedOptions {
  json?: true | undefined;
  quiet?: true | undefined;
  verbose?: true | undefined;
  databaseUrl?: string | undefined;
  schema?: string | undefined;
  envFile?: string | undefined;
}

/** What a handler gets. */
export interface CommandContext {
  config: Config;
  output: Output;
  terminal: Terminal;
  /** Aborted by SIGINT, SIGTERM or the caller. */
  signal: AbortSignal;
}

/** What a handler answers: the keys of its JSON document besides `command` and `ok`, and its exit code (0 when absent). */
export interface CommandResult {
  /** null: the handler has shown its document itself, because its work went on after it. */
  document: object | null;
  exitCode?: number;
}

/** One run of the program: what it runs against, and where its exit code ends up. */
export interface Session {
  terminal: Terminal;
  signal: AbortSignal;
  exitCode: number;
}

/** Adds the flags that every command takes. */
export function withSharedOptions<A extends unknown[], O extends OptionValues, G extends OptionValues>(
  command: Command<A, O, G>,
) {
  return command
    .option('--json', 'print exactly one JSON document on stdout')
    .option('--quiet', 'print errors only')
    .option('--verbose', 'say more on stderr')
    .option('--database-url <url>', 'Postgres to use (DATABASE_URL; unset: the embedded database)')
    .option('--schema <name>', "schema for the tool's own tables (CALENDLY_SYNC_SCHEMA)")
    .option('--env-file <file>', 'read settings from this file instead of .env');
}

/**
 * Runs a command's handler in the frame, and leaves its exit code in the session. Never throws.
 * @param needsConfig false for a command that a broken setting must not stop
 */
export async function runCommand(
  session: Session,
  name: string,
  options: SharedOptions,
  handler: (context: CommandContext) => Promise<CommandResult>,
  { needsConfig = true }: { needsConfig?: boolean } = {},
): Promise<void> {
  const { terminal, signal } = session;
  const output = createOutput(terminal, {
    json: options.json === true,
    quiet: options.quiet === true,
    verbose: options.verbose === true,
  });
  try {
    const config = needsConfig
      ? loadConfig(terminal.environment, options, terminal.cwd)
      : defaultConfig(terminal.cwd);
    output.hide(secretsOf(config));
    const { document, exitCode = 0 } = await handler({ config, output, terminal, signal });
    session.exitCode = exitCode;
    if (document !== null) output.document({ command: name, ok: exitCode === 0, ...document });
  } catch (thrown) {
    const error = toCalendlySyncError(thrown);
    session.exitCode = exitCodeOf(error.code);
    output.error(error.toReport());
    if (options.verbose && error.code === 'failed') output.detail(error.stack ?? '');
    output.document({ command: name, ok: false, error: error.toReport() });
  }
}

/** One command: its name, and how it is added to the program. */
export interface DefineCommand {
  readonly name: string;
  define(program: Command, session: Session): void;
}
