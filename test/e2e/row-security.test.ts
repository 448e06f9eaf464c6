/** The program as a role with rights on all rows of tables whose row-level security hides them. */
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { calendlySync } from '../support/program.js';
import { makeRole } from '../support/roles.js';

async function applicationRole() {
  const { url, sql } = await testDatabase('empty');
  const role = await makeRole(url, 'crud');
  await sql.unsafe(`
    grant usage on schema public to "${role.name}";
    alter default privileges grant select, insert, update, delete on tables to "${role.name}"`);
  await makeHost(sql, 'integer');
  expect((await calendlySync(['migrate'], { DATABASE_URL: url })).code).toBe(0);
  return { DATABASE_URL: role.url };
}

test('health, clean-webhooks and migrate --status fail for a role that cannot see all rows, and say why', async () => {
  const settings = await applicationRole();
  for (const args of [['health'], ['clean-webhooks'], ['migrate', '--status']]) {
    const { code, stdout, stderr } = await calendlySync(args, settings);
    expect(code).toBe(1);
    expect(`${stdout}${stderr}`).toContain('subject to row-level security');
    expect(`${stdout}${stderr}`).not.toMatch(/not applied|0 webhook events deleted/);
  }
});
