/** Rows under a head: drawn on a terminal, tab-separated elsewhere. Loads cli-table3 only when it draws. */
import { displayWidth, wrap } from './layout.js';

/** A column's text, with its color on a terminal. */
export interface Cell {
  text: string;
  tone?: Tone;
}

/** The meanings of the colors. */
export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'strong';

export interface TableLayout {
  /** A table that is too wide loses its last columns, down to this number; without it cells are broken. */
  minColumns?: number;
  /** Draws no frame: for rows that are too long for any terminal. */
  blocks?: boolean;
}

type Paint = (text: string, tone: Tone | undefined) => string;

/** On a terminal narrower than this a frame leaves no room for the text. */
const MIN_FRAME_COLUMNS = 60;
const MIN_CELL_COLUMNS = 6;

/** A table for a terminal with `columns` columns; text that does not fit into a cell continues on its next line. */
export async function drawTable(
  head: string[],
  rows: Cell[][],
  columns: number,
  paint: Paint,
  { minColumns = head.length, blocks = columns < MIN_FRAME_COLUMNS }: TableLayout = {},
): Promise<string> {
  if (blocks) return drawBlocks(head, rows, columns, paint);
  const { default: Table } = await import('cli-table3');
  let cells: Cell[][] = [head.map((text) => ({ text, tone: 'strong' })), ...rows];
  for (let shown = head.length - 1; shown >= minColumns && tableWidth(cells) > columns; shown--) {
    cells = cells.map((row) => row.slice(0, shown));
  }
  const widths = fitWidths(cells, columns);
  // Broken here because cli-table3 counts the characters of the colors, too; each line is painted on its own.
  const draw = (cells: Cell[]) =>
    cells.map(({ text, tone }, index) =>
      wrap(text, widths[index] ?? MIN_CELL_COLUMNS, { breakWords: true })
        .map((line) => paint(line, tone))
        .join('\n'),
    );
  const [headCells = [], ...body] = cells;
  const table = new Table({
    head: draw(headCells),
    style: { head: [], border: [], compact: true },
    colWidths: widths.map((width) => width + 2),
  });
  for (const row of body) table.push(draw(row));
  return table.toString();
}

/** The same without a frame: the first cell as a title, then one line per filled cell, named by the head. */
function drawBlocks([, ...names]: string[], rows: Cell[][], columns: number, paint: Paint): string {
  return rows
    .flatMap(([title, ...cells]) => [
      ...wrap(title?.text ?? '', columns).map((line) => paint(line, title?.tone ?? 'strong')),
      ...cells.flatMap(({ text, tone }, index) =>
        text === '' ? [] : wrap(`  ${names[index]}: ${text}`, columns).map((line) => paint(line, tone)),
      ),
    ])
    .join('\n');
}

/** The same as tab-separated lines with a head; tabs and newlines inside a cell become spaces. */
export function plainTable(head: string[], rows: Cell[][]): string {
  const lines = [head, ...rows.map((row) => row.map((cell) => cell.text))];
  return lines.map((cells) => cells.map((text) => text.replace(/[\t\n]+/g, ' ')).join('\t')).join('\n');
}

/** Columns that the table takes, with its frame, if no cell is broken. */
function tableWidth(rows: Cell[][]): number {
  return naturalWidths(rows).reduce((sum, width) => sum + width + 3, 1);
}

/** Widths of the columns' text so that the table fits; the widest columns shrink first. */
export function fitWidths(rows: Cell[][], columns: number): number[] {
  const widths = naturalWidths(rows);
  for (let excess = tableWidth(rows) - columns; excess > 0; excess--) {
    const widest = Math.max(...widths);
    if (widest <= MIN_CELL_COLUMNS) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return widths;
}

function naturalWidths(rows: Cell[][]): number[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: count }, (_, index) =>
    Math.max(...rows.flatMap((row) => (row[index]?.text ?? '').split('\n').map(displayWidth))),
  );
}
