/** Questions on the terminal, and what is piped in instead. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Terminal } from './terminal.js';

/**
 * Asks on stderr and reads a line from stdin; null if the terminal was closed or the program was stopped.
 * @param hidden what is typed is not shown, on a terminal
 */
export async function prompt(
  { stdin, stderr }: Terminal,
  question: string,
  signal: AbortSignal,
  { hidden = false }: { hidden?: boolean } = {},
): Promise<string | null> {
  // In its terminal mode readline echoes to its output instead of the terminal.
  const options =
    hidden && stdin.isTTY ? { terminal: true, output: new Writable({ write: (_, __, done) => done() }) } : {};
  const lines = createInterface({ input: stdin, terminal: false, ...options });
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
    if (hidden && stdin.isTTY) stderr.write('\n');
  }
}

/** All of stdin, without the line end, for a secret that is piped in. */
export async function readPiped({ stdin }: Terminal): Promise<string> {
  return (await text(stdin)).trim();
}
