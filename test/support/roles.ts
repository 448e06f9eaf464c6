/** Creates roles for tests. They belong to the server, so each test file creates its own and drops them at its end. */
import postgres from 'postgres';
import { afterAll, inject } from 'vitest';

const created: { name: string; urls: string[] }[] = [];
afterAll(async () => {
  for (const { name, urls } of created) {
    for (const url of urls) {
      const sql = postgres(url, { max: 1, onnotice: () => {} });
      await sql.unsafe(`drop owned by "${name}" cascade`);
      await sql.end();
    }
    const admin = postgres(inject('serverUrl'), { max: 1, onnotice: () => {} });
    await admin.unsafe(`drop role if exists "${name}"`);
    await admin.end();
  }
});

let counter = 0;

/** Creates a role that may only log in, and returns its name and its URL of that database. */
export async function makeRole(databaseUrl: string, hint = 'role'): Promise<{ name: string; url: string }> {
  const name = `test-${hint}-${process.pid}-${counter++}`;
  const admin = postgres(inject('serverUrl'), { max: 1, onnotice: () => {} });
  await admin.unsafe(`create role "${name}" login password 'role-password'`);
  await admin.end();
  created.push({ name, urls: [databaseUrl] });
  const url = new URL(databaseUrl);
  url.username = encodeURIComponent(name);
  url.password = 'role-password';
  return { name, url: url.href };
}
