import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseExact, stringifyExact } from '../src/exact-json.js';

test('numbers keep their digits, whatever a JavaScript number would make of them', () => {
  const text =
    '{"a":[12345678901234567890.123,1e400,-9007199254740993,0.1,"\\"12345678901234567890",1E-400],"b":5}';
  expect(stringifyExact(parseExact(text))).toBe(text);
  expect(parseExact('{"n":15,"s":"12345678901234567890"}')).toEqual({ n: 15, s: '12345678901234567890' });
});

test('a text that is not JSON is rejected, however long its numbers are', () => {
  for (const text of [
    '01234567890123456789',
    '1234567890123456789-5',
    '[12345678901234567890',
    '-',
    '1e999.',
  ]) {
    expect(() => parseExact(text), text).toThrow(SyntaxError);
  }
});

test('any JSON is parsed as JSON.parse parses it, if its numbers are exact', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(stringifyExact(parseExact(text))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});
