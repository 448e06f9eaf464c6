/** Temporary: applies the SQL files directly, until the runner knows the new schema. */
import { readdirSync, readFileSync } from 'node:fs';
import { type Database, openServer } from '../../src/database/connection.js';

export async function migrate(database: Database): Promise<void> {
  for (const file of readdirSync('sql')
    .filter((name) => name.endsWith('.up.sql'))
    .sort())
    await database.transaction((sql) => sql.unsafe(readFileSync(`sql/${file}`, 'utf8')));
}

export async function migrateUrl(url: string): Promise<void> {
  const database = openServer(url);
  await migrate(database);
  await database.close();
}
