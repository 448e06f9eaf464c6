/** `migrate`: brings the database to the newest schema, shows its state, and restores a rollback's backup. */

import type { Database } from '../../database/connection.js';
import { CalendlySyncError } from '../../errors.js';
import type { LockOptions } from '../../migrations/lock.js';
import type { MigrateResult } from '../../migrations/migrate.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withDatabase } from '../database.js';
import { type LockFlags, lockOptions, withLockOptions } from './lock-options.js';

interface MigrateFlags extends LockFlags {
  to?: string | undefined;
  status?: true | undefined;
  dryRun?: true | undefined;
  sql?: true | undefined;
  ownTables?: true | undefined;
  restore?: string | undefined;
}

export const migrate: DefineCommand = (program, session) => {
  withLockOptions(program.command('migrate'))
    .description('apply the migrations that the database lacks, one transaction each; repair what drifted')
    .option('--to <version>', 'stop after this version')
    .option('--status', 'show what is applied, pending and drifted; exit code 4 unless all is applied')
    .option('--dry-run', 'print the SQL that would run, and run none')
    .option('--sql', 'print all migrations as one script for a SQL editor; needs no database')
    .option(
      '--own-tables',
      "keep users and meetings apart from the application's, in schema calendly or --schema",
    )
    .option('--restore <backup>', 'restore the backup of a rollback')
    .addHelpText(
      'after',
      `
Examples:
  $ calendly-sync migrate
  $ calendly-sync migrate --status
  $ calendly-sync migrate --dry-run > review.sql
  $ calendly-sync migrate --sql > paste-me.sql
  $ calendly-sync migrate --restore calendly_backup_20260131_080000_000
  $ calendly-sync migrate --own-tables --max-wait 10m`,
    )
    .action(commandAction(session, run));
};

async function run(given: CommandContext, flags: MigrateFlags): Promise<CommandResult> {
  const modes = (['status', 'dryRun', 'sql', 'restore'] as const).filter((mode) => flags[mode] !== undefined);
  if (modes.length > 1) {
    const names = modes.map((mode) => `--${mode === 'dryRun' ? 'dry-run' : mode}`);
    throw new CalendlySyncError('usage', `${names.join(' and ')} cannot be combined.`);
  }
  const { ownTables, restore: backup } = flags;
  const schema = given.config.schema ?? (ownTables ? 'calendly' : null);
  const context = { ...given, config: { ...given.config, schema } };
  const options = { ...lockOptions(context, flags), to: flags.to, ownTables, adopt: backup === undefined };
  if (flags.sql) {
    const { showEditorScript } = await import('./scripts.js');
    return showEditorScript(context, options.lockTimeoutMs);
  }
  return withDatabase(
    context,
    async (database) => {
      if (flags.status) {
        const { showStatus } = await import('./status.js');
        return showStatus(context, database);
      }
      if (flags.dryRun) {
        const { showDryRun } = await import('./scripts.js');
        return showDryRun(context, database, options);
      }
      if (backup !== undefined) {
        // Before the first change: a mistyped name must not leave 022 applied and empty.
        const { requireBackup } = await import('../../migrations/backup/backup.js');
        await requireBackup(database, backup);
      }
      const { migrate } = await import('../../migrations/migrate.js');
      const result = await migrate(database, options).catch((error: CalendlySyncError) => {
        if (error.result) showResult(context, error.result as MigrateResult, ownTables);
        throw error;
      });
      showResult(context, result, ownTables);
      // Where the tables are ours, there is nobody to warn of.
      const hosted = result.applied.length > 0 && !result.created.includes('table meetings');
      const warnings = hosted ? await showWarnings(context, database) : {};
      const restored = backup === undefined ? {} : await restore(context, database, backup, options);
      return { document: { ...result, ...warnings, ...restored } };
    },
    // A new embedded database comes without tables here, so that this command says what it applies.
    { migrate: false, ...(flags.status || flags.dryRun ? { create: false } : {}) },
  );
}

async function showWarnings({ output }: CommandContext, database: Database) {
  const { readHostWarnings } = await import('../../migrations/schema/warnings.js');
  const warnings = await readHostWarnings(database);
  for (const { message, hint } of warnings) output.note(`⚠ ${message}\n  ${hint}`, 'warn');
  return { warnings };
}

async function restore({ output }: CommandContext, database: Database, name: string, options: LockOptions) {
  const { restore } = await import('../../migrations/backup/restore.js');
  const restored = await restore(database, name, options);
  for (const { table, rows, restored: written, equal, changed, orphaned } of restored) {
    output.result(
      `${table}: ${written} of ${rows} restored, ${equal - written} already present` +
        (changed > 0 ? `, ${changed} changed since the backup, kept` : '') +
        (orphaned > 0 ? `, ${orphaned} left out because their row is gone` : ''),
    );
  }
  return { restored };
}

function showResult(
  { output, config: { schema } }: CommandContext,
  { applied, repaired, already, pending, created, adoption, drift }: MigrateResult,
  ownTables = false,
) {
  for (const { version, name, ms, found } of applied) {
    const how = found ? 'already applied by hand, now recorded' : `applied in ${ms} ms`;
    output.result(`✅ ${version} ${name}: ${how}`, 'good');
  }
  for (const { version, name } of repaired) output.result(`✅ ${version} ${name}: repaired`, 'good');
  for (const object of created) {
    const why = object.startsWith('trigger ')
      ? "fills the application's own columns in rows of calendly-sync; rollback removes it"
      : ownTables
        ? `created in schema ${schema}; the application's tables are left alone`
        : 'created, because the database had none';
    output.result(`${object}: ${why}`);
  }
  if (adoption && adoption.adopted + adoption.duplicates + adoption.unrecognised > 0) {
    const { adopted, duplicates, unrecognised, examples } = adoption;
    output.result(
      `meetings: ${adopted} rows adopted, ${duplicates} duplicates, ${unrecognised} not recognized`,
    );
    for (const text of examples) output.note(`  ${text}`);
  }
  for (const { version, object, problem } of drift)
    output.result(`✖ ${version}: ${object} ${problem}; running the file again did not change that`, 'bad');
  if (applied.length + repaired.length + drift.length === 0)
    output.result(
      `Nothing to do: ${already.length} ${already.length === 1 ? 'migration is' : 'migrations are'} applied.`,
    );
  if (pending.length > 0) output.result(`Pending: ${pending.map(({ version }) => version).join(', ')}`);
  if (ownTables)
    output.note(`All other commands need --schema ${schema}, or CALENDLY_SYNC_SCHEMA=${schema} once.`);
}
