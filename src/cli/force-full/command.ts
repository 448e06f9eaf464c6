/** `force-full`: clears the mark of the first sync and runs it again. */
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
    .action(commandAction(session, async () => (await import('../sync/run.js')).runForceFull));
};

const EXAMPLES = `
Examples:
  $ calendly-sync force-full
  $ calendly-sync force-full --user ada@example.com
  $ calendly-sync force-full --all --mark-only`;
