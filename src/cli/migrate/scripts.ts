/** `migrate --dry-run` and `migrate --sql`: the SQL that would run, on stdout. */
import type { Database } from '../../database/connection.js';
import { readMigrations } from '../../migrations/files.js';
import { type MigrateOptions, planMigrate } from '../../migrations/migrate.js';
import { editorScript, upScript } from '../../migrations/script.js';
import type { CommandContext, CommandResult } from '../command.js';

/** Prints a script per due file. Reads only. */
export async function showDryRun(
  { output }: CommandContext,
  database: Database,
  options: MigrateOptions,
): Promise<CommandResult> {
  const { due, already, pending } = await planMigrate(database, options);
  const scripts = due.map((migration) => ({
    version: migration.version,
    name: migration.name,
    sql: upScript(migration, { schema: database.schema, ...options }),
  }));
  for (const { version, name, sql } of scripts) output.result(`-- ${version}_${name}\n${sql}\n`);
  if (scripts.length === 0) output.result('-- Nothing to do.');
  return { document: { dry_run: true, applied: [], already, pending, sql: scripts } };
}

/** Prints all files as one script. Needs no database. */
export function showEditorScript({ output, config }: CommandContext, lockTimeoutMs?: number): CommandResult {
  const sql = editorScript(readMigrations(), { schema: config.schema, lockTimeoutMs });
  output.result(sql);
  return { document: { sql } };
}
