/** `migrate`: brings the database to the newest schema, shows how it stands, and puts a rollback's backup back. */
import type { Database } from '../../database/connection.js';
import { CalendlySyncError } from '../../errors.js';
import type { MigrateResult } from '../../migrations/migrate.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withDatabase } from '../database.js';
import { patience, type WaitFlags, withWaitOptions } from './lock-options.js';

interface MigrateFlags extends WaitFlags {
  to?: string | undefined;
  status?: true | undefined;
  dryRun?: true | undefined;
  restore?: string | undefined;
}

export const migrate: DefineCommand = (program, session) => {
  withWaitOptions(program.command('migrate'))
    .description('apply the migrations that the database lacks, one transaction each')
    .option('--to <version>', 'stop after this version')
    .option('--status', 'show what is applied, pending and drifted; exit code 4 when something is amiss')
    .option('--dry-run', 'print the SQL that would run, and run none')
    .option('--restore <file>', 'put the backup of a rollback back')
    .addHelpText(
      'after',
      `
Examples:
  $ calendly-sync migrate
  $ calendly-sync migrate --status
  $ calendly-sync migrate --dry-run > review.sql
  $ calendly-sync migrate --restore .calendly-sync/backups/2026-01-31T08-00-00Z-022.jsonl.gz
  $ calendly-sync migrate --schema calendly --max-wait 10m`,
    )
    .action(commandAction(session, run));
};

async function run(context: CommandContext, flags: MigrateFlags): Promise<CommandResult> {
  const modes = [
    flags.status && '--status',
    flags.dryRun && '--dry-run',
    flags.restore && '--restore',
  ].filter(Boolean);
  if (modes.length > 1) throw new CalendlySyncError('usage', `${modes.join(' and ')} exclude each other.`);
  const waits = patience(context, flags);
  return withDatabase(
    context,
    async (database) => {
      if (flags.status) {
        const { showStatus } = await import('./status.js');
        return showStatus(context, database);
      }
      if (flags.dryRun) return dryRun(context, database, flags, waits.attempt.lockTimeoutMs);
      const { migrate } = await import('../../migrations/migrate.js');
      const result = await migrate(database, { ...waits.attempt, to: flags.to });
      show(context, result);
      if (flags.restore === undefined) return { document: result };
      const { resolve } = await import('node:path');
      const { restore } = await import('../../migrations/backup/restore.js');
      const restored = await restore(database, resolve(context.terminal.cwd, flags.restore), waits.attempt);
      for (const table of restored) {
        context.output.result(
          `${table.table}: ${table.restored} of ${table.rows} restored, ${table.equal - table.restored} were there` +
            (table.changed > 0 ? `, ${table.changed} kept as they were written since` : '') +
            (table.orphaned > 0 ? `, ${table.orphaned} left out because their row is gone` : ''),
        );
      }
      return { document: { ...result, restored } };
    },
    // A new embedded database comes without tables here, so that this command says what it applies.
    { migrate: false, create: !flags.status && !flags.dryRun },
  ).finally(waits.stop);
}

function show({ output }: CommandContext, { applied, already, pending }: MigrateResult): void {
  for (const { version, name, ms, found } of applied) {
    const how = found ? 'was there already, run by hand; recorded' : `applied in ${ms} ms`;
    output.result(`✅ ${version} ${name}: ${how}`, 'good');
  }
  if (applied.length === 0) {
    output.result(
      `Nothing to do: ${already.length} ${already.length === 1 ? 'migration is' : 'migrations are'} applied.`,
    );
  }
  if (pending.length > 0) output.result(`Pending: ${pending.map(({ version }) => version).join(', ')}`);
}

async function dryRun(
  { output }: CommandContext,
  database: Database,
  { to }: MigrateFlags,
  lockTimeoutMs: number | undefined,
): Promise<CommandResult> {
  const { planMigrate } = await import('../../migrations/migrate.js');
  const { upScript } = await import('../../migrations/script.js');
  const { due, already, pending } = await planMigrate(database, { to });
  const scripts = due.map((migration, index) => ({
    version: migration.version,
    name: migration.name,
    sql: upScript(migration, { schema: database.schema, lockTimeoutMs }, already.length + index === 0),
  }));
  for (const { version, name, sql } of scripts) output.result(`-- ${version}_${name}\n${sql}\n`);
  if (scripts.length === 0) output.result('-- Nothing to do.');
  return { document: { dry_run: true, applied: [], already, pending, sql: scripts } };
}
