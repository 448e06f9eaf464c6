/** A question on the terminal, before something that cannot be undone. */
import { createInterface } from 'node:readline/promises';
import type { Terminal } from './terminal.js';

/** Asks on stderr and reads a line from stdin; null if the terminal was closed or the program was stopped. */
export async function prompt(
  { stdin, stderr }: Terminal,
  question: string,
  signal: AbortSignal,
): Promise<string | null> {
  const lines = createInterface({ input: stdin, terminal: false });
  const closed = new Promise<null>((resolve) => lines.once('close', () => resolve(null)));
  // Listens before it asks: an answer that is already there must not be missed.
  const answer = lines.question('', { signal });
  stderr.write(question);
  try {
    return await Promise.race([answer, closed]);
  } catch (error) {
    if (!signal.aborted) throw error;
    // The cursor is still behind the question.
    stderr.write('\n');
    return null;
  } finally {
    lines.close();
  }
}
