/** `erase`: forgets a person, or a connected user with all of their meetings, after showing what goes. */
import { countOf } from '../../counting.js';
import type { EraseResult } from '../../privacy/erase.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { confirm } from '../confirm.js';
import { withExistingDatabase } from '../database.js';
import { oneLine } from '../terminal/sanitize.js';

interface EraseFlags {
  dryRun?: boolean | undefined;
  yes?: true | undefined;
}

export const erase: DefineCommand = (program, session) => {
  program
    .command('erase')
    .description('forget a person: invitee, guest, answers, stored webhooks; nothing brings them back')
    .argument('<email>', 'the e-mail address of the person')
    .option('--dry-run', 'count what would be removed, remove nothing')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, run));
};

async function run(
  context: CommandContext,
  { dryRun = false, yes }: EraseFlags,
  email: string,
): Promise<CommandResult> {
  const { output, signal } = context;
  const { erase: forget } = await import('../../privacy/erase.js');
  return withExistingDatabase(context, async (database) => {
    const work = async (only: boolean) => {
      const progress = await output.progress(only ? 'Looking for the person …' : 'Erasing …');
      return forget({ database, email, dryRun: only, signal }).finally(progress.stop);
    };
    if (!dryRun && !yes) {
      show(context, await work(true), true);
      await confirm(context, {
        question: 'This cannot be undone. Type the address to go on: ',
        expected: email,
        otherwise: 'nothing was erased',
      });
    }
    const result = await work(dryRun);
    show(context, result, dryRun);
    return { document: { dry_run: dryRun, ...result } };
  });
}

function show({ output }: CommandContext, result: EraseResult, dryRun: boolean): void {
  const { meetings, invitees, deliveries, texts, left, backups } = result;
  const what = [
    countOf(invitees, 'invitee'),
    `details of ${countOf(meetings, 'meeting')}`,
    countOf(deliveries, 'stored webhook'),
    ...(texts > 0 ? [countOf(texts, 'message')] : []),
  ].join(', ');
  output.result(dryRun ? `Would be erased: ${what}.` : `Erased: ${what}.`);
  for (const { table, rows } of left)
    output.warn(
      `${countOf(rows, 'row')} of ${oneLine(table)} still hold the address, in columns that are not ours.`,
    );
  for (const backup of backups) {
    output.warn(`The backup ${backup} still holds the address.`);
    output.warn(`To drop it: calendly-sync rollback --drop-backup ${backup}`);
  }
}

const EXAMPLES = `
An invitee stays as a row without name, address and answers, so that the counts of
meetings remain right. Run it again after a backup was restored.

Examples:
  $ calendly-sync erase guest@example.com --dry-run
  $ calendly-sync erase guest@example.com --yes --json`;
