import fc from 'fast-check';
import { expect, test } from 'vitest';
import { displayWidth, truncate, wrap } from '../../../src/cli/terminal/layout.js';

const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 40 });

test('no line is longer than the terminal, and no word is lost', () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 20, max: 140 }), (list, columns) => {
      const lines = wrap(list.join(' '), columns, { indent: '  ' });
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines.map((line) => line.trim()).join(' ')).toBe(list.join(' '));
    }),
  );
});

test('a word that is longer than the terminal stays whole', () => {
  const lines = wrap('see https://example.com/a/long/path now', 10);
  expect(lines).toEqual(['see', 'https://example.com/a/long/path', 'now']);
});

test('in a table cell a word that is too long is broken, and no character is lost', () => {
  expect(wrap('ab abcdefgh', 3, { breakWords: true })).toEqual(['ab', 'abc', 'def', 'gh']);
  const text = fc.string({ unit: 'grapheme', maxLength: 60 }).map((line) => line.replace(/\s/gu, '_'));
  fc.assert(
    fc.property(text, fc.integer({ min: 2, max: 40 }), (line, columns) => {
      const lines = wrap(line, columns, { breakWords: true });
      expect(lines.join('')).toBe(line);
      for (const one of lines) expect(displayWidth(one)).toBeLessThanOrEqual(columns);
    }),
  );
});

test('a line keeps its margin, and the lines that continue it are indented below it', () => {
  expect(wrap('  one two three', 9, { indent: '  ' })).toEqual(['  one two', '    three']);
});

test('East Asian characters and emoji take two columns, combining marks none', () => {
  expect(displayWidth('山田')).toBe(4);
  expect(displayWidth('👩‍👩‍👧')).toBe(2);
  expect(displayWidth('✅ ok')).toBe(5);
  expect(displayWidth('e\u0301')).toBe(1);
});

test('text is cut between characters, never inside an emoji', () => {
  expect(truncate('abcdef', 4)).toBe('abc…');
  expect(truncate('a👩‍👩‍👧b', 3)).toBe('a…');
  expect(truncate('a👩‍👩‍👧b', 4)).toBe('a👩‍👩‍👧b');
});
