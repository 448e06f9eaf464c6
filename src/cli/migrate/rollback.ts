/** `rollback`: undoes the newest migrations, after showing what goes and copying it to a backup in the database. */
import type { Database } from '../../database/connection.js';
import { CalendlySyncError } from '../../errors.js';
import type { RollbackPlan, RollbackResult } from '../../migrations/rollback.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withDatabase } from '../database.js';
import { type LockFlags, lockOptions, withLockOptions } from './lock-options.js';

interface RollbackFlags extends LockFlags {
  to?: string | undefined;
  dryRun?: true | undefined;
  yes?: true | undefined;
  backup: boolean;
  deleteSynced?: true | undefined;
  listBackups?: true | undefined;
  dropBackup?: string | undefined;
}

export const rollback: DefineCommand = (program, session) => {
  withLockOptions(program.command('rollback'))
    .description('undo the newest migration; what it drops is copied to a backup schema first')
    .option('--to <version>', 'undo all above this version; 0 undoes everything')
    .option('--dry-run', 'show what would go and the SQL that would run, and run none')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .option('--no-backup', 'make no backup: what is dropped is lost')
    .option(
      '--delete-synced',
      "with --to 0: delete the rows that the sync wrote into the application's meetings",
    )
    .option('--list-backups', 'list the backups in this database, and do nothing else')
    .option('--drop-backup <backup>', 'drop this backup for good, and do nothing else')
    .addHelpText(
      'after',
      `
Examples:
  $ calendly-sync rollback
  $ calendly-sync rollback --to 0 --dry-run
  $ calendly-sync rollback --to 0 --delete-synced
  $ calendly-sync rollback --yes --json
  $ calendly-sync rollback --list-backups`,
    )
    .action(commandAction(session, run));
};

async function run(context: CommandContext, flags: RollbackFlags): Promise<CommandResult> {
  const { output } = context;
  const locks = lockOptions(context, flags);
  if (flags.deleteSynced && Number(flags.to ?? Number.NaN) !== 0)
    throw new CalendlySyncError('usage', '--delete-synced needs --to 0.');
  return withDatabase(
    context,
    async (database) => {
      if (flags.listBackups || flags.dropBackup !== undefined)
        return backups(context, database, flags.dropBackup);
      const { planRollback, rollback } = await import('../../migrations/rollback.js');
      const plan = await planRollback(database, { to: flags.to });
      if (plan.steps.length === 0) {
        output.result('Nothing to roll back.');
        return { document: { rolled_back: [], backup: null } };
      }
      showPlan(context, database, plan, flags);
      if (flags.dryRun) {
        const { downScript } = await import('../../migrations/script.js');
        const sql = plan.steps.map((step) => ({
          version: step.version,
          name: step.name,
          sql: downScript(step, { schema: database.schema, lockTimeoutMs: locks.lockTimeoutMs }),
        }));
        for (const script of sql) output.result(`-- ${script.version}_${script.name}\n${script.sql}\n`);
        return { document: { dry_run: true, rolled_back: [], backup: null, losses: plan.losses, sql } };
      }
      if (!flags.yes) await confirmRollback(context, database, plan);
      const { backupName } = await import('../../migrations/backup/backup.js');
      const result = await rollback(database, {
        ...locks,
        to: flags.to,
        backup: flags.backup ? backupName(new Date()) : null,
        deleteSynced: flags.deleteSynced,
      }).catch((error: CalendlySyncError) => {
        if (error.result) showResult(context, error.result as RollbackResult);
        throw error;
      });
      showResult(context, result);
      return { document: result };
    },
    { create: false },
  );
}

async function backups(
  { output }: CommandContext,
  database: Database,
  drop?: string,
): Promise<CommandResult> {
  const { dropBackup, listBackups } = await import('../../migrations/backup/backup.js');
  if (drop !== undefined) {
    await dropBackup(database, drop);
    output.result(`Dropped ${drop}.`);
    return { document: { dropped: drop } };
  }
  const found = await listBackups(database);
  for (const { name, versions, rows } of found)
    output.result(`${name}: ${rows} rows of ${versions.join(', ')}`);
  if (found.length === 0) output.result('No backups.');
  return { document: { backups: found } };
}

function showResult({ output }: CommandContext, { rolled_back, backup }: RollbackResult) {
  for (const { version, name } of rolled_back) output.result(`✅ ${version} ${name}: rolled back`, 'good');
  if (backup === null) return;
  output.result(`Backup: schema ${backup}`);
  output.note(`To restore it: calendly-sync migrate --restore ${backup}`);
  output.note(`To drop it: calendly-sync rollback --drop-backup ${backup}`);
}

/** Shows on stderr what goes. */
function showPlan(
  { output }: CommandContext,
  { label }: Database,
  { steps, losses, synced, deletable, kept }: RollbackPlan,
  { backup, deleteSynced }: RollbackFlags,
): void {
  for (const { version, name } of steps) {
    const lines = losses.filter((loss) => loss.version === version);
    output.note(
      `Rolling back ${version} ${name}${lines.length > 0 ? ' drops:' : ' drops no data.'}`,
      'strong',
    );
    for (const { object, rows } of lines) {
      const what = object.startsWith('column') ? 'value' : 'row';
      output.note(`  ${object}${rows === null ? '' : ` (${rows} ${what}${rows === 1 ? '' : 's'})`}`);
    }
  }
  if (synced > 0) {
    output.note(
      deleteSynced
        ? `  rows of meetings that the sync inserted (adopted rows stay): ${deletable}`
        : `${synced} ${synced === 1 ? 'row' : 'rows'} of meetings stay, and lose the columns that mark them as synced; ` +
            '--delete-synced deletes those that the sync inserted.',
      'warn',
    );
  }
  for (const { table, rows } of deleteSynced ? kept : []) {
    const are = rows === 1 ? 'row is' : 'rows are';
    output.note(`  ${rows} ${are} kept, because ${table} refers to ${rows === 1 ? 'it' : 'them'}`, 'warn');
  }
  output.note(
    backup
      ? `What is dropped is copied to a schema calendly_backup_… in ${label}.`
      : 'No backup: what is dropped is lost.',
  );
}

/** Asks for the name of the first table that goes, so that nobody confirms without having read. */
async function confirmRollback(
  context: CommandContext,
  { label, schema }: Database,
  { losses, steps }: RollbackPlan,
): Promise<void> {
  const table = losses.find(({ object }) => object.startsWith('table '))?.object.slice('table '.length);
  const what = `${steps.length} ${steps.length === 1 ? 'migration' : 'migrations'} of ${label}${schema === null ? '' : `, schema ${schema}`}`;
  const { confirm } = await import('../confirm.js');
  await confirm(context, {
    question: `This rolls back ${what}. Type ${table ? `the table's name, ${table},` : 'yes'} to go on: `,
    expected: table ?? 'yes',
    otherwise: 'nothing was rolled back',
  });
}
