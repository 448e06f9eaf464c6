/** A confirmation before something that cannot be undone. */
import { CalendlySyncError } from '../errors.js';
import type { CommandContext } from './command.js';
import { prompt } from './terminal/prompt.js';

/**
 * Asks on the terminal, and goes on only if the answer is the expected one.
 * @param texts.otherwise completes the error: what has not happened
 * @throws CalendlySyncError `usage` without a terminal, `stopped` for any other answer
 */
export async function confirm(
  { output, terminal, signal }: CommandContext,
  { question, expected, otherwise }: { question: string; expected: string; otherwise: string },
): Promise<void> {
  if (!terminal.stdin.isTTY || output.json) {
    throw new CalendlySyncError('usage', `Cannot ask for confirmation without a terminal; ${otherwise}.`, {
      hint: 'Add --yes to do it, or --dry-run to see it only.',
    });
  }
  const answer = await prompt(terminal, question, signal);
  if (answer?.trim() === expected) return;
  if (answer === null) terminal.stderr.write('\n');
  const why = answer === null ? 'Canceled' : 'Confirmation did not match';
  throw new CalendlySyncError('stopped', `${why}; ${otherwise}.`);
}
