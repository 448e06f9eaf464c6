/** The SQL in the documentation runs as it is printed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/version.js';
import { testDatabase } from '../support/database.js';

test.each(['README.md', 'docs/data.md'])('every SQL example of %s runs as printed', async (name) => {
  const { sql } = await testDatabase();
  await sql.unsafe(`
    create table customers (id integer, email text);
    create table leads (id integer);
    create table stripe_charges (id text, status text)`);
  const examples = [
    ...readFileSync(join(packageRoot, name), 'utf8').matchAll(/^```sql\n(.*?)^```/gms),
  ].flatMap(([, text = '']) => text.split(/;[^\n]*\n/).filter((statement) => /\w/.test(statement)));
  expect(examples.length).toBeGreaterThan(4);
  for (const statement of examples) await sql.unsafe(statement);
});
