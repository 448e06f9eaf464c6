/** `rollback`: undoes the newest migrations, after saying what goes and writing it to a backup. */
import { join } from 'node:path';
import { CalendlySyncError } from '../../errors.js';
import type { RollbackPlan } from '../../migrations/rollback.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { withDatabase } from '../database.js';
import { patience, type WaitFlags, withWaitOptions } from './lock-options.js';

interface RollbackFlags extends WaitFlags {
  to?: string | undefined;
  dryRun?: true | undefined;
  yes?: true | undefined;
  backup: boolean;
}

export const rollback: DefineCommand = (program, session) => {
  withWaitOptions(program.command('rollback'))
    .description('undo the newest migration; what it drops is written to a backup first')
    .option('--to <version>', 'undo all above this version; 0 undoes everything')
    .option('--dry-run', 'show what would go and the SQL that would run, and run none')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .option('--no-backup', 'write no backup: what is dropped is lost')
    .addHelpText(
      'after',
      `
Examples:
  $ calendly-sync rollback
  $ calendly-sync rollback --to 0 --dry-run
  $ calendly-sync rollback --yes --json`,
    )
    .action(commandAction(session, run));
};

async function run(context: CommandContext, flags: RollbackFlags): Promise<CommandResult> {
  const { config, output } = context;
  const waits = patience(context, flags);
  return withDatabase(
    context,
    async (database) => {
      const { planRollback, rollback } = await import('../../migrations/rollback.js');
      const plan = await planRollback(database, { to: flags.to });
      if (plan.steps.length === 0) {
        output.result('Nothing to roll back.');
        return { document: { rolled_back: [], backup: null } };
      }
      tell(context, plan);
      if (flags.dryRun) {
        const { downScript } = await import('../../migrations/script.js');
        const sql = plan.steps.map((step) => ({
          version: step.version,
          name: step.name,
          sql: downScript(step, { schema: database.schema, lockTimeoutMs: waits.attempt.lockTimeoutMs }),
        }));
        for (const script of sql) output.result(`-- ${script.version}_${script.name}\n${script.sql}\n`);
        return { document: { dry_run: true, rolled_back: [], backup: null, losses: plan.losses, sql } };
      }
      if (!flags.yes) await confirm(context, plan);
      const backupFile = flags.backup ? join(config.home, 'backups', backupName(plan, new Date())) : null;
      const result = await rollback(database, { ...waits.attempt, to: flags.to, backupFile });
      for (const { version, name } of result.rolled_back)
        output.result(`✅ ${version} ${name}: rolled back`, 'good');
      if (result.backup !== null) {
        output.result(`Backup: ${result.backup}`);
        output.note(`To put it back: calendly-sync migrate --restore ${result.backup}`);
      }
      return { document: result };
    },
    { create: false },
  ).finally(waits.stop);
}

/** Says on stderr what goes. */
function tell({ output }: CommandContext, { steps, losses }: RollbackPlan): void {
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
}

/** Asks for the name of the first table that goes, so that nobody says yes without having read. */
async function confirm(
  { output, terminal, signal }: CommandContext,
  { losses }: RollbackPlan,
): Promise<void> {
  if (!terminal.stdin.isTTY || output.json) {
    throw new CalendlySyncError('usage', 'There is no terminal to ask on, so nothing was rolled back.', {
      hint: 'Add --yes to do it, or --dry-run to see it only.',
    });
  }
  const table = losses.find(({ object }) => object.startsWith('table '))?.object.slice('table '.length);
  const word = table ?? 'yes';
  const { prompt } = await import('../terminal/prompt.js');
  const answer = await prompt(
    terminal,
    `Type ${table ? `the table's name, ${table},` : 'yes'} to go on: `,
    signal,
  );
  if (answer?.trim() === word) return;
  throw new CalendlySyncError('stopped', 'That was not the word, so nothing was rolled back.');
}

function backupName({ steps }: RollbackPlan, now: Date): string {
  const time = now.toISOString().slice(0, 19).replaceAll(':', '-');
  const versions = [...new Set([steps[0]?.version, steps.at(-1)?.version])].join('-');
  return `${time}Z-${versions}.jsonl.gz`;
}
