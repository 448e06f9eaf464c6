/**
 * What all commands share: the shared flags, and the frame that turns a handler into a commander action. The frame
 * reads the settings, redacts secrets, shows errors, prints the one JSON document and decides the exit code.
 */
import type { Command, CommandUnknownOpts } from '@commander-js/extra-typings';
import { type Config, defaultConfig, loadConfig, SETTINGS, secretsOf } from '../config.js';
import { type CalendlySyncError, toCalendlySyncError } from '../errors.js';
import { exitCodeOf } from './exit-codes.js';
import { createOutput, type Output, type OutputOptions } from './terminal/output.js';
import type { Terminal } from './terminal/terminal.js';

/** What a handler gets. */
export interface CommandContext {
  config: Config;
  output: Output;
  terminal: Terminal;
  /** Aborted by SIGINT, SIGTERM or the caller. */
  signal: AbortSignal;
}

/** What a handler returns. */
export interface CommandResult {
  /** The keys of its JSON document besides the common ones; null if it has printed its document itself. */
  document: object | null;
  /** 0 if it is left out. */
  exitCode?: number | undefined;
}

/** What a command does after its flags are parsed. */
export type Handler<Flags, Args extends unknown[] = []> = (
  context: CommandContext,
  flags: Flags,
  ...args: Args
) => Promise<CommandResult>;

/** Runs one command line to its end. @returns the exit code */
export type RunProgram = (
  argv: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
) => Promise<number>;

/** One run of the program: what it runs against, and its exit code. */
export interface Session {
  terminal: Terminal;
  signal: AbortSignal;
  exitCode: number;
  /** For a command that runs other commands. */
  run: RunProgram;
  /** The program with all commands, for one that describes them. */
  wholeProgram(): Promise<CommandUnknownOpts>;
}

/** Adds one command to the program. */
export type DefineCommand = (program: Command, session: Session) => void;

/** Adds the flags that every command takes, before or after its name. */
export function addSharedOptions(program: Command): void {
  program
    .option('--json', 'print exactly one JSON document on stdout')
    .option('--quiet', 'print errors only')
    .option('--verbose', 'print more detail on stderr');
  for (const { name, flag, description } of Object.values(SETTINGS)) {
    if (flag) program.option(flag, `${name}: ${description}`);
  }
  program.option('--env-file <file>', 'read settings from this file instead of .env');
}

/** The command's name with that of its group, as it stands in JSON documents: `webhook serve`. */
export function commandPath(command: CommandUnknownOpts): string {
  const parent = command.parent?.parent ? `${commandPath(command.parent)} ` : '';
  return `${parent}${command.name()}`;
}

/**
 * The commander action that runs a handler in the frame and leaves its exit code in the session. Never throws.
 * @param needsConfig false for a command that uses neither settings nor a database
 */
export function commandAction<Flags extends object, Args extends unknown[]>(
  session: Session,
  handler: Handler<Flags, Args>,
  { needsConfig = true }: { needsConfig?: boolean } = {},
) {
  return async (...given: [...args: Args, flags: Flags, command: CommandUnknownOpts]): Promise<void> => {
    const { terminal, signal } = session;
    const [flags, command] = given.slice(-2) as [Flags, CommandUnknownOpts];
    const args = given.slice(0, -2) as Args;
    const shared: OutputOptions = command.optsWithGlobals();
    const output = createOutput(terminal, shared);
    const common: { command: string; database?: string | null } = { command: commandPath(command) };
    try {
      let config = defaultConfig(terminal.cwd);
      if (needsConfig) {
        common.database = null;
        config = loadConfig(terminal.environment, shared, terminal.cwd);
        output.redact(secretsOf(config));
        const { databaseLabel } = await import('../open-database.js');
        common.database = await databaseLabel(config);
      }
      const { document, exitCode = 0 } = await handler({ config, output, terminal, signal }, flags, ...args);
      session.exitCode = exitCode;
      if (document !== null) output.document({ ...common, ok: exitCode === 0, ...document });
    } catch (caught) {
      session.exitCode = reportFailure(output, common, toCalendlySyncError(caught));
    }
  };
}

/** Shows an error and prints its document. @returns the exit code */
export function reportFailure(output: Output, common: object, error: CalendlySyncError): number {
  output.error(error.toReport());
  if (error.code === 'failed') output.detail(error.stack ?? '');
  output.document({ ...common, ok: false, ...error.result, error: error.toReport() });
  return exitCodeOf(error.code);
}
