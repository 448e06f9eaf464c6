/** Cuts SQL text into its statements, as psql does: quotes, dollar quotes and comments are stepped over. Pure. */

/** One statement of a file. */
export interface Statement {
  text: string;
  /** Where it begins in the file's text, in UTF-16 units. */
  offset: number;
}

// Each alternative is one piece that may hold a semicolon without ending the statement; the last is anything else.
const PIECE = new RegExp(
  [
    /--[^\n]*/,
    /\/\*/,
    /\b[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|$)/,
    /'(?:[^']|'')*(?:'|$)/,
    /"(?:[^"]|"")*(?:"|$)/,
    /\$(?<tag>[\p{L}_][\p{L}\p{N}_]*)?\$[\s\S]*?(?:\$\k<tag>\$|$(?![\s\S]))/u,
    /[\p{L}\p{N}_$]+/u,
    /;/,
    /\s+/,
    /[\s\S]/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'uy',
);

/** All statements of the text, without what stands between them; a text of comments alone has none. */
export function splitStatements(text: string): Statement[] {
  const statements: Statement[] = [];
  let start: number | null = null;
  let position = 0;
  const finish = (end: number) => {
    if (start !== null) statements.push({ text: text.slice(start, end).trimEnd(), offset: start });
    start = null;
  };
  while (position < text.length) {
    PIECE.lastIndex = position;
    const piece = PIECE.exec(text)?.[0] ?? text.slice(position, position + 1);
    const end = piece === '/*' ? endOfComment(text, position) : position + piece.length;
    if (piece === ';') finish(end);
    else if (start === null && !/^(\s|--|\/\*)/.test(piece)) start = position;
    position = end;
  }
  finish(text.length);
  return statements;
}

/** Block comments nest in Postgres. */
function endOfComment(text: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}
