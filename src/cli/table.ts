/** Rows under a head: drawn on a terminal, tab-separated elsewhere. Loads cli-table3 only when it draws. */

/** A column's text, with the tone that it is painted in on a terminal. */
export interface Cell {
  text: string;
  tone?: Tone;
}

/** The meanings that a colour may carry. */
export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'strong';

/** A table for a terminal of so many columns; cells wrap at word ends, so that no row is wider than the terminal. */
export async function drawTable(
  head: string[],
  rows: Cell[][],
  columns: number,
  paint: (text: string, tone: Tone | undefined) => string,
): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const widths = fitWidths([head.map((text) => ({ text })), ...rows], columns);
  const table = new Table({
    head: head.map((text) => paint(text, 'strong')),
    style: { head: [], border: [], compact: true },
    wordWrap: true,
    ...(widths === null ? {} : { colWidths: widths, wrapOnWordBoundary: false }),
  });
  for (const row of rows) table.push(row.map((cell) => paint(cell.text, cell.tone)));
  return table.toString();
}

/** The same as tab-separated lines with a head; tabs and newlines inside a cell become blanks. */
export function plainTable(head: string[], rows: Cell[][]): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => cell.text))];
  return lines.map((cells) => cells.map((text) => text.replace(/[\t\n]+/g, ' ')).join('\t')).join('\n');
}

/** Column widths that fit, the widest columns shrunk first; null when the table fits as it is. */
export function fitWidths(rows: Cell[][], columns: number): number[] | null {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const natural = Array.from({ length: count }, (_, index) =>
    Math.max(...rows.map((row) => longestLine(row[index]?.text ?? ''))),
  );
  const room = columns - (count + 1) - 2 * count;
  let total = natural.reduce((sum, width) => sum + width, 0);
  if (total <= room) return null;
  const widths = [...natural];
  const floor = 6;
  while (total > room) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= floor) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    total--;
  }
  return widths.map((width) => width + 2);
}

function longestLine(text: string): number {
  return Math.max(0, ...text.split('\n').map((line) => line.length));
}
