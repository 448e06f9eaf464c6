/** `force-full`: forgets that the first sync was done, and does it again. */
import { CalendlySyncError } from '../../errors.js';
import { type DefineCommand, runCommand, withSharedOptions } from '../command.js';
import { collect, positiveInteger } from '../sync/command.js';

export const forceFull: DefineCommand = {
  name: 'force-full',
  define(program, session) {
    withSharedOptions(program.command('force-full'))
      .description('list the whole two years again; rows that are right are not touched')
      .option('--user <id-or-email>', 'this user of the database (may be repeated)', collect, [] as string[])
      .option('--all', 'every connected user')
      .option('--mark-only', 'only make the next sync a full one')
      .option('--concurrency <n>', 'requests under way at once, at most (default: 24)', positiveInteger)
      .addHelpText('after', EXAMPLES)
      .action((options) =>
        runCommand(session, 'force-full', options, async (context) => {
          const { user: users, all, markOnly, concurrency } = options;
          if (all && users.length > 0) {
            throw new CalendlySyncError('usage', '--all and --user exclude each other.');
          }
          const { runMarkOnly, runSync } = await import('../sync/run.js');
          const { config, output, signal } = context;
          if (markOnly) return runMarkOnly({ config, output, signal, users });
          return runSync({ config, output, signal, users, concurrency, full: true });
        }),
      );
  },
};

const EXAMPLES = `
Examples:
  $ calendly-sync force-full
  $ calendly-sync force-full --user ada@example.com
  $ calendly-sync force-full --all --mark-only`;
