import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';

describe('arrays', async () => {
  const { url } = await testDatabase('empty');
  const database = openServer(url);
  afterAll(() => database.close());

  test('a text array comes back from Postgres unchanged, with any quotes, commas, braces and NULLs', async () => {
    const texts = fc.array(
      fc.oneof(
        fc.constantFrom('NULL', '', '"', '\\', '{}', 'a,b', ' x ', '\n'),
        fc.string({ unit: 'grapheme' }),
      ),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(texts, async (values) => {
        // Postgres cannot store U+0000.
        const clean = values.map((value) => value.replaceAll('\u0000', ''));
        const [row] = await database.transaction((sql) => sql`select ${clean}::text[] as back`);
        expect(row?.back).toEqual(clean);
      }),
      { numRuns: 60 },
    );
  });

  test('the elements of an array have the same JavaScript types as columns of that type', async () => {
    const [row] = await database.transaction(
      (sql) => sql`
        select array[1, 2]::integer[] as integers, array[9007199254740993]::bigint[] as bigints, array[true, false] as flags,
          array['2026-01-01T00:00:00Z']::timestamptz[] as dates, array['{"a":1}']::jsonb[] as documents,
          array[null, 'x']::text[] as nulls, '{}'::text[] as empty`,
    );
    expect(row).toEqual({
      integers: [1, 2],
      bigints: ['9007199254740993'],
      flags: [true, false],
      dates: [new Date('2026-01-01T00:00:00Z')],
      documents: [{ a: 1 }],
      nulls: [null, 'x'],
      empty: [],
    });
    const found = await database.transaction(
      (sql) => sql`select x from generate_series(1::bigint, 5) x where x = any(${['2', '4']}) order by x`,
    );
    expect(found.map(({ x }) => x)).toEqual(['2', '4']);
  });
});
