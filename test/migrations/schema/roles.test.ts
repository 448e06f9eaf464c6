import { afterAll, describe, expect, test } from 'vitest';
import { type Database, openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/migrations/migrate.js';
import { rollback } from '../../../src/migrations/rollback.js';
import { migrationStatus } from '../../../src/migrations/status.js';
import { testDatabase } from '../../support/database.js';
import { makeHost } from '../../support/hosts.js';
import { makeRole } from '../../support/roles.js';
import { schemaOf } from '../../support/schema.js';

const open: Database[] = [];
afterAll(() => Promise.all(open.map((database) => database.close())));

function connect(url: string, schema: string | null = null): Database {
  const database = openServer(url, { schema });
  open.push(database);
  return database;
}

describe('a role that is not the owner', () => {
  test('a role that is not the owner is told who owns what and what to run; when it is run, the migration goes through', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    const owner = await makeRole(url, 'owner');
    const role = await makeRole(url, 'app');
    await sql.unsafe(`
      alter table users owner to "${owner.name}"; alter table meetings owner to "${owner.name}";
      grant usage, create on schema public to "${role.name}"`);
    const before = await schemaOf(sql);
    const database = connect(role.url);
    const error = await migrate(database).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'preflight',
      message: expect.stringContaining(
        `${role.name} may not add columns to users (last_calendly_sync, calendly_initial_sync_complete, calendly_webhook_enabled): users belongs to ${owner.name} (SQLSTATE 42501).`,
      ),
      hint: expect.stringContaining(`grant "${owner.name}" to "${role.name}";`),
    });
    expect(error).toMatchObject({ message: expect.stringContaining('add columns to meetings') });
    expect(await schemaOf(sql)).toEqual(before);

    await sql.unsafe(`grant "${owner.name}" to "${role.name}"`);
    expect((await migrate(database)).pending).toEqual([]);
  });

  test('a role that is not the owner needs the right to refer to a table that needs no change', async () => {
    const { url, sql } = await testDatabase('empty');
    await makeHost(sql, 'integer');
    await sql.unsafe('drop view "My Meetings"; drop table meetings');
    const role = await makeRole(url, 'app');
    await sql.unsafe(`grant usage, create on schema public to "${role.name}"`);
    const database = connect(role.url);
    await expect(migrate(database, { to: '4' })).rejects.toMatchObject({
      message: expect.stringContaining(
        `let postgres run: grant references on public.users to "${role.name}";`,
      ),
    });
    await sql.unsafe(`grant references on users to "${role.name}"`);
    expect((await migrate(database, { to: '4' })).applied).toHaveLength(4);
  });

  test('a role that is not the owner is told whose the tables are, with rights on them and without, and never that nothing is applied', async () => {
    const { url, sql } = await testDatabase('empty');
    await migrate(connect(url));
    const role = await makeRole(url, 'app_rw');
    const other = connect(role.url);
    const whose = {
      hint: expect.stringMatching(
        new RegExp(
          `^You are ${role.name}; calendly_.* belong to postgres\\. .*grant "postgres" to "${role.name}";$`,
        ),
      ),
    };
    await expect(migrationStatus(other)).rejects.toMatchObject(whose);
    await sql.unsafe(`grant select, insert, update, delete on all tables in schema public to "${role.name}"`);
    for (const work of [migrationStatus, migrate, (it: Database) => rollback(it, { backup: null })]) {
      await expect(work(other)).rejects.toMatchObject({
        ...whose,
        message: expect.stringContaining('row-level security policy for table "calendly_migrations"'),
      });
    }
  });

  test('a role that is no superuser can own it all', async () => {
    const { url, sql } = await testDatabase('empty');
    const role = await makeRole(url, 'plain');
    await sql.unsafe(`grant usage, create on schema public to "${role.name}"`);
    const database = connect(role.url);
    expect((await migrate(database)).pending).toEqual([]);
    await database.transaction((tx) => tx`insert into users (email) values ('me@example.com')`);
    expect(await database.transaction((tx) => tx`select email from calendly_sync_health`)).toEqual([
      { email: 'me@example.com' },
    ]);
  });

  test('a role without the right to create is told so, and which schema', async () => {
    const { url, sql } = await testDatabase('empty');
    await sql.unsafe('revoke create on schema public from public');
    const role = await makeRole(url, 'reader');
    await expect(migrate(connect(role.url))).rejects.toMatchObject({
      message: expect.stringContaining('permission denied for schema public (SQLSTATE 42501)'),
      hint: `You are ${role.name}: ask the owner of the database or a superuser for the right that is missing.`,
    });
    await expect(migrate(connect(role.url, 'own'))).rejects.toMatchObject({
      message: expect.stringContaining('permission denied for database'),
    });
  });
});
