import { expect, test } from 'vitest';
import { openServer } from '../../../src/database/connection.js';
import { migrate } from '../../../src/database/migrations/migrate.js';
import { rollback } from '../../../src/database/migrations/rollback.js';
import { migrationStatus } from '../../../src/database/migrations/status.js';
import { requireSchema } from '../../../src/database/schema.js';
import { testDatabase } from '../../support/database.js';

test('an empty database gets every migration, once', async () => {
  const { url } = await testDatabase('empty');
  const database = openServer(url);
  const first = await migrate(database);
  expect(first.applied.at(0)?.version).toBe('001');
  expect(first.applied.at(-1)).toMatchObject({ version: '022', name: 'calendly_sync_optimization' });
  expect(first.pending).toEqual([]);
  const second = await migrate(database);
  expect(second.applied).toEqual([]);
  expect(second.already).toHaveLength(first.applied.length);
  expect((await migrationStatus(database)).pending).toEqual([]);
  expect(await database.transaction(requireSchema)).toEqual({ optimization: true });
  await database.close();
});

test('a plain rollback undoes 022 only; all the way down leaves nothing', async () => {
  const { url, sql } = await testDatabase();
  const database = openServer(url);
  const one = await rollback(database, { backupFile: null });
  expect(one.rolled_back).toEqual([{ version: '022', name: 'calendly_sync_optimization' }]);
  expect(await database.transaction(requireSchema)).toEqual({ optimization: false });
  await rollback(database, { to: '0', backupFile: null });
  const tables = await sql`select relname from pg_class where relnamespace = 'public'::regnamespace`;
  expect(tables).toEqual([]);
  await expect(database.transaction(requireSchema)).rejects.toMatchObject({ code: 'schema_not_ready' });
  await database.close();
});
