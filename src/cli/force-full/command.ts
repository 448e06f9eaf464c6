/** `force-full`: clears the mark of the first sync and runs it again. */
import { CalendlySyncError } from '../../errors.js';
import { commandAction, type DefineCommand } from '../command.js';
import { collect, concurrency } from '../option-parsers.js';

export const forceFull: DefineCommand = (program, session) => {
  program
    .command('force-full')
    .description('list the full two years again; unchanged rows are left alone')
    .option('--user <id-or-email>', 'only this user of the database (repeatable)', collect)
    .option('--all', 'every connected user')
    .option('--mark-only', 'only make the next sync a full one')
    .option('--concurrency <n>', 'max parallel requests (default: 24)', concurrency)
    .addHelpText('after', EXAMPLES)
    .action(
      commandAction(session, async (context, { user: users = [], all, markOnly, concurrency }) => {
        if (all && users.length > 0) {
          throw new CalendlySyncError('usage', "--all and --user can't be used together.");
        }
        const { runMarkOnly, runSync } = await import('../sync/run.js');
        return markOnly ? runMarkOnly(context, users) : runSync(context, { users, concurrency, full: true });
      }),
    );
};

const EXAMPLES = `
Examples:
  $ calendly-sync force-full
  $ calendly-sync force-full --user ada@example.com
  $ calendly-sync force-full --all --mark-only`;
