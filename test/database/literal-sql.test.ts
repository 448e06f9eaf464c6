/** Values as literals: whatever a text contains, the server gets it back as it was. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { openServer } from '../../src/database/connection.js';
import { testDatabase } from '../support/database.js';

for (const conforming of ['on', 'off']) {
  test(`any text and array arrives as it was sent, with standard_conforming_strings ${conforming}`, async () => {
    const { url } = await testDatabase('empty');
    const database = openServer(url, { connection: { standard_conforming_strings: conforming } });
    onTestFinished(() => database.close());
    const text = fc.string({
      unit: fc.constantFrom("'", '\\', '"', '{', '}', ',', ';', '$', '\n', 'a', 'ä', '🎯', ' '),
    });
    await fc.assert(
      fc.asyncProperty(text, fc.array(text), fc.boolean(), fc.integer(), async (one, many, flag, number) => {
        const rows = await database.query(
          (sql) => sql<{ one: string; many: string[]; flag: boolean; number: number; none: null }[]>`
            select ${one}::text as one, ${many}::text[] as many, ${flag} as flag, ${number}::integer as number,
              ${null}::text as none`,
        );
        expect(rows).toEqual([{ one, many, flag, number, none: null }]);
      }),
      { numRuns: 200 },
    );
  });
}

test('a statement that fails is rolled back, and the connection goes on', async () => {
  const { url } = await testDatabase('empty');
  const database = openServer(url, { max: 1 });
  onTestFinished(() => database.close());
  await expect(database.query((sql) => sql`select 1 / ${0}::integer`)).rejects.toThrow('division by zero');
  expect(await database.query((sql) => sql`select ${new Date(0)} as at`)).toEqual([{ at: new Date(0) }]);
});
