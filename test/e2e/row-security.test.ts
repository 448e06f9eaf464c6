/** The program as a role whose rows the row-level security of the tables hides, and as one that may read them. */
import { expect, test } from 'vitest';
import { runCli } from '../support/cli.js';
import { testDatabase } from '../support/database.js';
import { makeHost } from '../support/hosts.js';
import { calendlySync } from '../support/program.js';
import { makeRole } from '../support/roles.js';
import { settingsOf, testSandbox } from '../support/sandbox.js';
import { event, receiving } from '../support/webhooks.js';

/** A role with rights on every table, and policies on ours that hide all rows from it. */
async function applicationRole() {
  const { url, sql } = await testDatabase('empty');
  const role = await makeRole(url, 'crud');
  await sql.unsafe(`
    grant usage on schema public to "${role.name}";
    alter default privileges grant select, insert, update, delete on tables to "${role.name}"`);
  await makeHost(sql, 'integer');
  expect((await calendlySync(['migrate'], { DATABASE_URL: url })).code).toBe(0);
  return { sql, role, url };
}

test('health, clean-webhooks and migrate --status fail for a role that cannot see all rows, and say who owns them', async () => {
  const { role } = await applicationRole();
  for (const args of [['health'], ['clean-webhooks'], ['migrate', '--status']]) {
    const { code, stdout, stderr } = await calendlySync(args, { DATABASE_URL: role.url });
    expect(code).toBe(1);
    expect(`${stdout}${stderr}`).toContain('subject to row-level security');
    expect(stderr).toMatch(new RegExp(`You are ${role.name}; calendly_.* belong to postgres`));
    expect(stderr).toContain(`grant "postgres" to "${role.name}";`);
    expect(`${stdout}${stderr}`).not.toMatch(/not applied|0 webhook events deleted/);
  }
});

test('sync and the webhook receiver of a role that cannot see all rows are refused, and write nothing', async () => {
  const { sql, role } = await applicationRole();
  const sandbox = await testSandbox({ events: 3 });
  const written = () => sql`
    select (select count(*) from calendly_events)::integer + (select count(*) from calendly_webhook_events)::integer
      + (select count(*) from calendly_accounts)::integer + (select count(*) from calendly_sync_runs)::integer as rows`;
  const { code, stdout, stderr } = await runCli(['sync'], settingsOf(sandbox, role.url));
  expect(code).toBe(1);
  expect(stderr).toContain('subject to row-level security');
  expect(stderr).toContain(`You are ${role.name}`);
  expect(stdout).not.toContain('complete');

  const { post, events } = receiving(role.url);
  const answer = await post({
    event: 'invitee.created',
    created_at: new Date().toISOString(),
    payload: event('E1'),
  });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(JSON.stringify(events)).toContain('row-level security');
  expect(await written()).toEqual([{ rows: 0 }]);
});

test('a role that sees every row through policies of ours may run health and migrate --status, and writes nothing', async () => {
  const { sql, url } = await applicationRole();
  const role = await makeRole(url, 'reader');
  await sql.unsafe(`grant usage on schema public to "${role.name}"`);
  const sandbox = await testSandbox({ events: 3 });
  const owner = settingsOf(sandbox, url);
  await sql`insert into users (email) select email from jsonb_to_recordset(${JSON.stringify(sandbox.hosts)}::text::jsonb) as host (email text)`;
  expect((await runCli(['sync'], owner)).code).toBe(0);
  expect((await calendlySync(['grant-read', role.name], { DATABASE_URL: url })).code).toBe(0);
  const reader = settingsOf(sandbox, role.url);
  const status = await runCli(['migrate', '--status'], reader);
  expect(status, status.stderr).toMatchObject({ code: 0 });
  // It compares with what was erased, which no reader sees.
  expect((await runCli(['verify'], reader)).stderr).toContain(
    'permission denied for table calendly_erasures',
  );
  const health = await runCli(['health', '--json'], reader);
  expect(JSON.parse(health.stdout).users).toEqual(
    JSON.parse((await runCli(['health', '--json'], owner)).stdout).users,
  );
  expect(await runCli(['sync'], reader)).toMatchObject({ code: 1 });
});
