/** The program as one function: words in, exit code out. The only place that knows all commands by name. */
import { Command, CommanderError } from '@commander-js/extra-typings';
import { version } from '../version.js';
import type { Session } from './command.js';
import { commands } from './commands.js';
import { EXIT } from './exit-codes.js';
import { createOutput } from './terminal/output.js';
import type { Terminal } from './terminal/terminal.js';

/**
 * Runs one command line to its end.
 * @param words the arguments after the program's name
 * @param signal aborted when the work should stop cleanly
 * @returns the exit code; never throws for what a user did
 */
export async function run(words: string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  const session: Session = { terminal, signal, exitCode: EXIT.ok };
  const complaints: string[] = [];
  const program = createProgram(session, complaints);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return EXIT.ok;
    return usageError(words, terminal, complaints.join('') || thrown.message);
  }
  return session.exitCode;
}

/** Makes the commander program; one per run, so that tests and the demo can run several side by side. */
export function createProgram(session: Session, complaints: string[] = []) {
  const { stdout } = session.terminal;
  const program = new Command('calendly-sync')
    .description('Migrates a Postgres schema and keeps it true to Calendly.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => complaints.push(text),
      getOutHelpWidth: () => Math.min(stdout.columns ?? 100, 120),
      getErrHelpWidth: () => 100,
    })
    .showSuggestionAfterError(true)
    .helpCommand(true)
    .addHelpText(
      'after',
      '\nFirst steps:\n  $ calendly-sync demo\n  $ calendly-sync migrate && calendly-sync sync',
    );
  for (const command of commands) command.define(program, session);
  return program;
}

function usageError(words: string[], terminal: Terminal, complaint: string): number {
  const json = words.includes('--json');
  const output = createOutput(terminal, { json, quiet: false, verbose: false });
  const message = complaint.trim().replace(/^error: /, '');
  const command = words.find((word) => !word.startsWith('-')) ?? null;
  const report = {
    code: 'usage' as const,
    message,
    hint: `See: calendly-sync ${command && commands.some(({ name }) => name === command) ? `${command} ` : ''}--help`,
  };
  output.error(report);
  output.document({ command, ok: false, error: report });
  return EXIT.usage;
}
