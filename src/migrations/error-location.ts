/** Where in a file an error belongs: line, column, the line itself and a caret under it. Pure. */
import type { Statement } from './statements.js';

/** A place in a text, counted from 1 as editors do. */
export interface Place {
  line: number;
  column: number;
  /** The line and a caret under the column. */
  excerpt: string;
}

/** What Postgres says about where an error is. */
export interface ErrorPosition {
  /** Counted from 1 in characters (code points) of the statement. */
  position?: string | undefined;
  /** The call stack of a DO block or function. */
  where?: string | undefined;
}

/** The place of an error in the text of its file, as exactly as Postgres tells it. */
export function placeOf(text: string, statement: Statement, error: ErrorPosition): Place {
  return placeAt(text, statement.offset + offsetInStatement(statement.text, error));
}

/** Line, column and caret of an offset (UTF-16 units). */
function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = text.indexOf('\n', offset);
  const source = text.slice(lineStart, lineEnd === -1 ? text.length : lineEnd);
  // The caret must stand below its character: tabs stay tabs, characters outside the BMP count once.
  const indent = [...text.slice(lineStart, offset)].map((c) => (c === '\t' ? '\t' : ' '));
  return {
    line: before.split('\n').length,
    column: indent.length + 1,
    excerpt: `${source}\n${indent.join('')}^`,
  };
}

function offsetInStatement(statement: string, { position, where }: ErrorPosition): number {
  if (position !== undefined) return [...statement].slice(0, Number(position) - 1).join('').length;
  const line = /inline_code_block line (\d+)/.exec(where ?? '')?.[1];
  if (line === undefined) return 0;
  // PL/pgSQL counts from the line on which the block's dollar quote opens.
  let offset = Math.max(0, statement.search(/\$[^$\s]*\$/));
  for (let count = 1; count < Number(line); count++) {
    const next = statement.indexOf('\n', offset);
    if (next === -1) return 0;
    offset = next + 1;
  }
  return offset + (/^[ \t]*/.exec(statement.slice(offset))?.[0].length ?? 0);
}
