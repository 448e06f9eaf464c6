/** Rows under a head: drawn on a terminal, tab-separated elsewhere. Loads cli-table3 only when it draws. */

/** A column's text, with the tone that it is painted in on a terminal. */
export interface Cell {
  text: string;
  tone?: Tone;
}

/** The meanings that a colour may carry. */
export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'strong';

/** A table for a terminal of so many columns; what does not fit into a cell goes on in its next line. */
export async function drawTable(
  head: string[],
  rows: Cell[][],
  columns: number,
  paint: (text: string, tone: Tone | undefined) => string,
): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const headCells: Cell[] = head.map((text) => ({ text, tone: 'strong' }));
  const widths = fitWidths([headCells, ...rows], columns);
  // Broken here and not by cli-table3, which breaks the colours' own characters too; each line is painted apart.
  const drawn = (cells: Cell[]) =>
    cells.map(({ text, tone }, index) =>
      brokenInto(text, widths?.[index])
        .map((line) => paint(line, tone))
        .join('\n'),
    );
  const table = new Table({
    head: drawn(headCells),
    style: { head: [], border: [], compact: true },
    ...(widths === null ? {} : { colWidths: widths.map((width) => width + 2) }),
  });
  for (const row of rows) table.push(drawn(row));
  return table.toString();
}

/** Lines of at most `width` characters, broken at a blank where there is one. */
function brokenInto(text: string, width = Number.POSITIVE_INFINITY): string[] {
  return text.split('\n').flatMap((line) => {
    const lines: string[] = [];
    let rest = line;
    while (rest.length > width) {
      const blank = rest.lastIndexOf(' ', width);
      const end = blank > 0 ? blank : width;
      lines.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    return [...lines, rest];
  });
}

/** The same as tab-separated lines with a head; tabs and newlines inside a cell become blanks. */
export function plainTable(head: string[], rows: Cell[][]): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => cell.text))];
  return lines.map((cells) => cells.map((text) => text.replace(/[\t\n]+/g, ' ')).join('\t')).join('\n');
}

/** Widths of the columns' text that fit, the widest columns shrunk first; null when the table fits as it is. */
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
  return widths;
}

function longestLine(text: string): number {
  return Math.max(0, ...text.split('\n').map((line) => line.length));
}
