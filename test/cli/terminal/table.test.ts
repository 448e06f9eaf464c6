import fc from 'fast-check';
import { expect, test } from 'vitest';
import { displayWidth } from '../../../src/cli/terminal/layout.js';
import { drawTable, fitWidths, plainTable } from '../../../src/cli/terminal/table.js';

const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '-', '山', '✅'), maxLength: 60 });
const rows = fc.integer({ min: 1, max: 5 }).chain((count) => {
  const row = fc.array(text, { minLength: count, maxLength: count });
  return fc.tuple(row, fc.array(row, { maxLength: 6 }));
});

test('a table is never wider than the terminal, as long as six characters a column fit into it', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 60, max: 140 }), async ([head, body], columns) => {
      const cells = body.map((row) => row.map((cell) => ({ text: cell })));
      const drawn = await drawTable(head, cells, columns, (line) => line);
      for (const line of drawn.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    }),
  );
});

test('colors surround the text of each line, and never a break inside it', async () => {
  const cells = [[{ text: `one two three four ${'x'.repeat(60)} five`, tone: 'bad' as const }]];
  const drawn = await drawTable(['h'], cells, 60, (line, tone) =>
    tone === 'bad' ? `\u001b[31m${line}\u001b[39m` : line,
  );
  const painted = [...drawn.matchAll(/\u001b\[31m([^\u001b]*)\u001b\[39m/g)].map(([, line]) => line);
  expect(painted).toEqual(['one two three four', 'x'.repeat(56), 'xxxx five']);
  expect(drawn.match(/\u001b/g)).toHaveLength(6);
});

test('columns shrink only when they must, the widest first', () => {
  expect(fitWidths([[{ text: 'abc' }, { text: 'abcdef' }]], 80)).toEqual([3, 6]);
  expect(fitWidths([[{ text: 'abc' }, { text: 'x'.repeat(40) }]], 30)).toEqual([3, 20]);
});

test('on a narrow terminal each row is a block of lines, without cells that are empty', async () => {
  const cells = [[{ text: 'dana@example.com' }, { text: 'ok' }, { text: '' }, { text: '12' }]];
  const drawn = await drawTable(['user', 'status', 'note', 'active'], cells, 40, (line) => line);
  expect(drawn).toBe('dana@example.com\n  status: ok\n  active: 12');
});

test('without a terminal a row is one line, its cells separated by tabs', () => {
  expect(plainTable(['a', 'b'], [[{ text: 'x\ty' }, { text: 'two\nlines' }]])).toBe('a\tb\nx y\ttwo lines');
});

test('a table that is too wide loses its last columns before any cell is broken', async () => {
  const cells = [['dana@example.com', 'x'.repeat(30), 'y'.repeat(30)].map((text) => ({ text }))];
  const paint = (line: string) => line;
  const drawn = await drawTable(['user', 'one', 'two'], cells, 80, paint, { minColumns: 2 });
  expect(drawn).toContain('x'.repeat(30));
  expect(drawn).not.toContain('y');
  expect(await drawTable(['user', 'one', 'two'], cells, 100, paint, { minColumns: 2 })).toContain('y');
});
