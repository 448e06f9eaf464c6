import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checksum } from '../../src/migrations/checksum.js';
import { placeOf } from '../../src/migrations/error-location.js';
import { firstLineSays, readMigrations } from '../../src/migrations/files.js';
import { splitStatements } from '../../src/migrations/statements.js';

const pieces = fc.constantFrom(
  `'a;''b'`,
  `E'\\';'`,
  `"x;""y"`,
  '$$ ; $$',
  '$tag$ ; $$ ; $tag$',
  '/* ; /* ; */ */',
  "-- ; it's\n",
  'a$1',
  'select',
  ' ',
  '\n',
  'é😀',
);

describe('splitting', () => {
  test('cuts at the semicolons of the text and at no others', () => {
    const statement = fc
      .array(pieces, { minLength: 1, maxLength: 8 })
      .map((parts) => `select ${parts.join(' ')}`);
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 5 }), (statements) => {
        const text = statements.join('\n;\n');
        const found = splitStatements(text);
        expect(found).toHaveLength(statements.length);
        for (const { text: part, offset } of found) expect(text.startsWith(part, offset)).toBe(true);
      }),
    );
  });

  test('never hangs and never loses a character, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...`'"$-/*;eE\\a 1\n`) }), (text) => {
        let rest = text;
        for (const { text: part } of splitStatements(text).reverse()) {
          const at = rest.lastIndexOf(part);
          expect(at).toBeGreaterThanOrEqual(0);
          rest = rest.slice(0, at);
        }
      }),
    );
  });

  test('finds nothing in comments alone', () => {
    expect(splitStatements('-- nothing; here\n/* nor; here */ \n')).toEqual([]);
  });
});

describe('the place of an error', () => {
  const text = 'select 1;\n\n\tselect 😀ö, nope;\n';
  const statement = splitStatements(text).at(1);

  test('counts characters as Postgres does, and puts the caret below', () => {
    if (!statement) throw new Error('there are two statements');
    expect(placeOf(text, statement, { position: '12' })).toEqual({
      line: 3,
      column: 13,
      excerpt: '\tselect 😀ö, nope;\n\t           ^',
    });
  });

  test('is the line in a DO block that its call stack names', () => {
    const block = 'select 1;\ndo $body$\nbegin\n  perform 1 / 0;\nend\n$body$;';
    const [, second] = splitStatements(block);
    if (!second) throw new Error('there are two statements');
    const where = 'SQL expression "1 / 0"\nPL/pgSQL function inline_code_block line 3 at PERFORM';
    expect(placeOf(block, second, { where })).toMatchObject({
      line: 4,
      column: 3,
      excerpt: '  perform 1 / 0;\n  ^',
    });
  });

  test('is the beginning of the statement when Postgres says no more', () => {
    if (!statement) throw new Error('there are two statements');
    expect(placeOf(text, statement, {})).toMatchObject({ line: 3, column: 2 });
  });
});

test('a checksum is of the words: line endings and a byte order mark do not change it', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (lines) => {
      const clean = lines.map((line) => line.replace(/[\r\n\ufeff]/g, ''));
      expect(checksum(`\ufeff${clean.join('\r\n')}`)).toBe(checksum(clean.join('\n')));
    }),
  );
  expect(checksum('select 1;')).not.toBe(checksum('select 2;'));
});

test('only a first line says that a file takes no transaction', () => {
  expect(firstLineSays('-- no-transaction\nselect 1', 'no-transaction')).toBe(true);
  expect(firstLineSays('--no-transaction', 'no-transaction')).toBe(true);
  expect(firstLineSays('select 1;\n-- no-transaction\n', 'no-transaction')).toBe(false);
  expect(firstLineSays('-- no-transaction-here\n', 'no-transaction')).toBe(false);
});

test('each of our migrations can be undone, and they stand in the order of their numbers', () => {
  const migrations = readMigrations();
  expect(migrations.map(({ version }) => version)).toEqual([
    '001',
    '002',
    '003',
    '004',
    '005',
    '006',
    '007',
    '022',
  ]);
  for (const { down } of migrations) expect(down).not.toBeNull();
});
