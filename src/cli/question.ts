/** A question on the terminal, for what cannot be undone. */
import { createInterface } from 'node:readline/promises';
import type { Terminal } from './terminal.js';

/** Asks on stderr and reads a line from stdin; null when the terminal was closed or the program stopped. */
export async function ask(
  { stdin, stderr }: Terminal,
  question: string,
  signal: AbortSignal,
): Promise<string | null> {
  const lines = createInterface({ input: stdin, terminal: false });
  stderr.write(question);
  const closed = new Promise<null>((resolve) => lines.once('close', () => resolve(null)));
  try {
    return await Promise.race([lines.question('', { signal }), closed]);
  } catch (thrown) {
    if (signal.aborted) return null;
    throw thrown;
  } finally {
    lines.close();
  }
}
