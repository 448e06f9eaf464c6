/** The program as one function: arguments in, exit code out. Owns usage errors and the help. */
import { Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { CalendlySyncError } from '../errors.js';
import { version } from '../version.js';
import { addSharedOptions, commandPath, type DefineCommand, reportFailure, type Session } from './command.js';
import { loadCommands } from './commands.js';
import { EXIT } from './exit-codes.js';
import { helpTopic, settingsHelp } from './help-topics.js';
import { createOutput, type Output } from './terminal/output.js';
import type { Terminal } from './terminal/terminal.js';

/**
 * Runs one command line to its end.
 * @param argv the arguments after the program's name
 * @param signal aborted when the work should stop cleanly
 * @returns the exit code; never throws for what a user did
 */
export async function run(argv: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  if (argv.includes('--verbose') && argv.some((argument) => ['--version', '-V'].includes(argument))) {
    const { versionDetails } = await import('./version.js');
    terminal.stdout.write(`${versionDetails()}\n`);
    return EXIT.ok;
  }
  const wholeProgram = async () => createProgram(session, await loadCommands([]));
  const session: Session = { terminal, signal, exitCode: EXIT.ok, run, wholeProgram };
  const topic = helpTopic(argv);
  if (topic) {
    terminal.stdout.write(`${(await topic(helpWidthOf(terminal), wholeProgram)).trimEnd()}\n`);
    return EXIT.ok;
  }
  const usageErrors: string[] = [];
  const program = createProgram(session, await loadCommands(argv), usageErrors);
  // `help X` is run as `X --help`: only then can a command load its help first.
  const asksForHelp = argv[0] === 'help' && program.commands.some((command) => command.name() === argv[1]);
  try {
    await program.parseAsync(asksForHelp ? [...argv.slice(1), '--help'] : argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return EXIT.ok;
    const text = usageErrors.join('') || error.message;
    const output = createOutput(terminal, { json: argv.includes('--json') });
    if (error.code !== 'commander.help') return usageError(program, output, text);
    // Commander prints the help as an error where a command is missing, and where `help` gets an unknown one.
    const [first, unknown] = program.args;
    if (first === 'help') return usageError(program, output, `unknown command '${unknown}'`);
    if (output.json) return usageError(program, output, 'missing command');
    terminal.stdout.write(text);
    return EXIT.ok;
  }
  return session.exitCode;
}

/** Creates the commander program; one per run, so that tests and the demo can run several at a time. */
export function createProgram(
  session: Session,
  commands: readonly DefineCommand[],
  usageErrors: string[] = [],
): Command {
  const { stdout } = session.terminal;
  const helpWidth = () => helpWidthOf(session.terminal);
  const program: Command = new Command('calendly-sync')
    .description('Migrates a Postgres schema and keeps it up to date with Calendly.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 12 })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => usageErrors.push(text),
      getOutHelpWidth: helpWidth,
      getErrHelpWidth: helpWidth,
    })
    .addHelpText('after', () => `\n${FIRST_STEPS}\n\n${settingsHelp(helpWidth())}`);
  addSharedOptions(program);
  for (const define of commands) define(program, session);
  return program;
}

function helpWidthOf({ stdout }: Terminal): number {
  return Math.min(stdout.columns ?? 100, 120);
}

const FIRST_STEPS = `First steps:
  $ calendly-sync demo
  $ calendly-sync migrate && calendly-sync sync && calendly-sync health
  $ calendly-sync help exit-codes                # also: help environment, help man`;

function usageError(program: Command, output: Output, complaint: string): number {
  const [message = '', suggestion] = complaint
    .trim()
    .replace(/^error: /, '')
    .split('\n');
  const command = innermost(program);
  const path = command === program ? null : commandPath(command);
  const help = `See: calendly-sync ${path ? `${path} ` : ''}--help`;
  const hint = suggestion ? `${suggestion.replace(/^\((.*)\)$/, '$1')} ${help}` : help;
  const error = new CalendlySyncError('usage', message, { hint });
  return reportFailure(output, { command: path ?? program.args[0] ?? null }, error);
}

/** The command that the arguments name, as far as they name one. */
function innermost(program: Command): CommandUnknownOpts {
  let command: CommandUnknownOpts = program;
  for (const argument of program.args) {
    const next = command.commands.find((candidate) => candidate.name() === argument);
    if (!next) break;
    command = next;
  }
  return command;
}
