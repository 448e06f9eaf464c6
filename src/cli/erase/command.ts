/** `erase`: forgets a person, or a connected user with all of their meetings, after showing what goes. */
import { countOf } from '../../counting.js';
import { CalendlySyncError } from '../../errors.js';
import type { EraseResult } from '../../privacy/erase.js';
import { type CommandContext, type CommandResult, commandAction, type DefineCommand } from '../command.js';
import { confirm } from '../confirm.js';
import { withExistingDatabase } from '../database.js';
import { oneLine } from '../terminal/sanitize.js';

interface EraseFlags {
  user?: string | undefined;
  dryRun?: boolean | undefined;
  yes?: true | undefined;
}

export const erase: DefineCommand = (program, session) => {
  program
    .command('erase')
    .description('forget a person: invitee, guest, answers, stored webhooks; nothing brings them back')
    .argument('[email]', 'the e-mail address of the person')
    .option('--user <id-or-email>', 'instead: a connected user with all of their meetings')
    .option('--dry-run', 'count what would be removed, remove nothing')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .addHelpText('after', EXAMPLES)
    .action(commandAction(session, run));
};

async function run(
  context: CommandContext,
  { user, dryRun = false, yes }: EraseFlags,
  email?: string,
): Promise<CommandResult> {
  if ((user === undefined) === (email === undefined))
    throw new CalendlySyncError('usage', 'Name either an e-mail address or --user.');
  if (user !== undefined) return eraseUserCommand(context, { user, dryRun, yes });
  const { output, signal } = context;
  const { erase: forget } = await import('../../privacy/erase.js');
  return withExistingDatabase(context, async (database) => {
    const work = async (only: boolean) => {
      const progress = await output.progress(only ? 'Looking for the person …' : 'Erasing …');
      return forget({ database, email: email ?? '', dryRun: only, signal }).finally(progress.stop);
    };
    if (!dryRun && !yes) {
      show(context, await work(true), true);
      await confirmErase(context, 'address', email ?? '');
    }
    const result = await work(dryRun);
    show(context, result, dryRun);
    return { document: { dry_run: dryRun, ...result } };
  });
}

/** Removes a connected user; for `account disconnect --erase`, too. */
export async function eraseUserCommand(
  context: CommandContext,
  { user, dryRun = false, yes }: EraseFlags & { user: string },
): Promise<CommandResult> {
  const { config, output, signal } = context;
  const { eraseUser } = await import('../../privacy/erase-user.js');
  return withExistingDatabase(context, async (database) => {
    const options = { database, config, userId: user, signal };
    const found = await eraseUser({ ...options, dryRun: true });
    const what = `${countOf(found.meetings, 'meeting')}, ${countOf(found.deliveries, 'stored webhook')}`;
    const name = oneLine(found.email ?? user);
    if (dryRun || !yes) output.result(`${name} would be removed, with ${what}.`);
    if (dryRun) return { document: { dry_run: true, ...found } };
    if (!yes) await confirmErase(context, 'user', user);
    const progress = await output.progress('Erasing …');
    const result = await eraseUser(options).finally(progress.stop);
    output.result(`Removed ${name}, with ${what}.`);
    if (result.kept > 0) {
      const rows = countOf(result.kept, 'row');
      output.note(
        `${rows} of meetings stay, which the application wrote or refers to, without what Calendly said.`,
      );
    }
    if (!result.user) output.note('The row in users stays: the table is not ours.');
    for (const problem of result.problems) output.warn(`Calendly: ${problem}`);
    if (result.elsewhere) show(context, result.elsewhere, false);
    return { document: { dry_run: false, ...result } };
  });
}

function confirmErase(context: CommandContext, what: string, expected: string): Promise<void> {
  const question = `This cannot be undone. Type the ${what} to go on: `;
  return confirm(context, { question, expected, otherwise: 'nothing was erased' });
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
  $ calendly-sync erase guest@example.com --yes --json
  $ calendly-sync erase --user dana@example.com`;
