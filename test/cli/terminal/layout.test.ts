import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wrapped } from '../../../src/cli/terminal/layout.js';

const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 40 });

test('no line is longer than the terminal, and no word is lost', () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 20, max: 140 }), (list, columns) => {
      const lines = wrapped(list.join(' '), columns, '  ').split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines.map((line) => line.trim()).join(' ')).toBe(list.join(' '));
    }),
  );
});

test('a word that is longer than the terminal stays whole', () => {
  expect(wrapped('see https://example.com/a/long/path now', 10)).toBe(
    'see\nhttps://example.com/a/long/path\nnow',
  );
});
