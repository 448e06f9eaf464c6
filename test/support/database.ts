/** Creates databases for tests, each a copy of a template. */
import postgres from 'postgres';
import { afterAll, inject } from 'vitest';

let counter = 0;
const cleanings: (() => Promise<void>)[] = [];
// Registered when a test file imports this module: inside a test it would be too late.
afterAll(async () => {
  for (const clean of cleanings) await clean();
});

/** A new copy of the migrated template, dropped after the file's tests. `empty` is a database without tables. */
export async function testDatabase(kind: 'migrated' | 'empty' = 'migrated') {
  const serverUrl = inject('serverUrl');
  const name = `test_${process.pid}_${Date.now()}_${counter++}`;
  const admin = postgres(serverUrl, { max: 1, onnotice: () => {} });
  const source = kind === 'migrated' ? inject('template') : 'template0';
  await admin.unsafe(`create database ${name} template ${source}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const sql = postgres(url.href, { max: 2, onnotice: () => {} });
  cleanings.push(async () => {
    await sql.end({ timeout: 1 });
    await admin.unsafe(`drop database if exists ${name} with (force)`);
    await admin.end();
  });
  return { url: url.href, name, sql };
}
